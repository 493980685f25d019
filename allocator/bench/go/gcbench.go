package main

import "runtime"

type gcNode struct {
	left, right *gcNode
	i, j        int64
}

func treeSize(depth int) uint64 { return 2<<depth - 1 }

// populate works from the root down.
func populate(depth int, n *gcNode) {
	if depth <= 0 {
		return
	}
	n.left = &gcNode{}
	n.right = &gcNode{}
	populate(depth-1, n.left)
	populate(depth-1, n.right)
}

// makeNodes works from the leaves up.
func makeNodes(depth int) *gcNode {
	if depth <= 0 {
		return &gcNode{}
	}
	left := makeNodes(depth - 1)
	right := makeNodes(depth - 1)
	return &gcNode{left: left, right: right}
}

func (n *gcNode) count() uint64 {
	if n == nil {
		return 0
	}
	return 1 + n.left.count() + n.right.count()
}

func buildAndDrop(depth, stretchDepth int) uint64 {
	iterations := 2 * treeSize(stretchDepth) / treeSize(depth)
	sum := uint64(0)
	for i := uint64(0); i < iterations; i++ {
		n := &gcNode{}
		populate(depth, n)
		if n.left != nil {
			sum++
		}
	}
	for i := uint64(0); i < iterations; i++ {
		if n := makeNodes(depth); n.left != nil {
			sum++
		}
	}
	return sum
}

// gcbench: see gcbench.c.
func gcbench() {
	const minDepth, maxDepth, arraySize = 4, 40, 500000
	depthOption := 18.0
	readOptions(option{"--depth", &depthOption, "of the long-lived and of the deepest tree"})
	if depthOption < minDepth || depthOption > maxDepth {
		fail("--depth is %d to %d", minDepth, maxDepth)
	}
	depth := int(depthOption)
	start()
	makeNodes(depth + 2)
	longLived := &gcNode{}
	populate(depth, longLived)
	array := make([]float64, arraySize)
	for i := range array {
		array[i] = 1.0 / float64(i+1)
	}
	sum := uint64(0)
	for d := minDepth; d <= depth; d += 2 {
		sum += buildAndDrop(d, depth+2)
	}
	sum += longLived.count() + uint64(array[999]*1e6)
	runtime.KeepAlive(array)
	stop()
	end(sum)
}
