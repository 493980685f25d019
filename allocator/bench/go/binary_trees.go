package main

import "runtime"

type tree struct{ left, right *tree }

func makeTree(depth int) *tree {
	if depth <= 0 {
		return &tree{}
	}
	return &tree{makeTree(depth - 1), makeTree(depth - 1)}
}

func (t *tree) count() uint64 {
	if t.left == nil {
		return 1
	}
	return 1 + t.left.count() + t.right.count()
}

// binaryTrees: see binary_trees.c.
func binaryTrees() {
	const minDepth, maxDepth = 4, 40
	depthOption := 18.0
	readOptions(option{"--depth", &depthOption, "of the deepest tree"})
	if depthOption < minDepth+2 || depthOption > maxDepth {
		fail("--depth is %d to %d", minDepth+2, maxDepth)
	}
	depth := int(depthOption)
	start()
	sum := makeTree(depth + 1).count()
	longLived := makeTree(depth)
	for d := minDepth; d <= depth; d += 2 {
		iterations := 1 << (depth - d + minDepth)
		for i := 0; i < iterations; i++ {
			sum += makeTree(d).count()
		}
	}
	sum += longLived.count()
	runtime.KeepAlive(longLived)
	stop()
	end(sum)
}
