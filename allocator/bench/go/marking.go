package main

import (
	"runtime"
	"runtime/debug"
)

const markChildren = 15

type markNode struct {
	next, other *markNode
	key         uint64
	rest        [5]uint64
}

type wide struct {
	child [markChildren]*wide
	key   uint64
}

var (
	linkedTable []*markNode
	wideTable   []*wide
)

func buildLinked(objects uint64) uint64 {
	const listLength, listsAtATime = 100, 1000
	const block = listLength * listsAtATime
	random := rng{seed}
	n := (objects/block + 1) * listsAtATime
	linkedTable = make([]*markNode, n)
	for i := uint64(0); i < objects; i++ {
		slot := i/block*listsAtATime + random.below(listsAtATime)
		head, c := linkedTable[slot], new(markNode)
		c.next = head
		if head != nil {
			c.other = head.next
		}
		c.key = i
		linkedTable[slot] = c
	}
	sum := uint64(0)
	for _, c := range linkedTable {
		for ; c != nil; c = c.next {
			sum += c.key
			if c.other != nil {
				sum++
			}
		}
	}
	return sum
}

func makeWide(depth int, key *uint64) *wide {
	w := &wide{key: *key}
	*key++
	if depth > 0 {
		for i := range w.child {
			w.child[i] = makeWide(depth-1, key)
		}
	}
	return w
}

func buildWide(objects uint64) (sum, made uint64) {
	const treeDepth = 3
	const tree = 1 + markChildren + markChildren*markChildren +
		markChildren*markChildren*markChildren
	wideTable = make([]*wide, objects/tree+1)
	for i := range wideTable {
		wideTable[i] = makeWide(treeDepth, &made)
		sum += wideTable[i].child[markChildren-1].child[0].key
	}
	return sum, made
}

// marking: see marking.c.
func marking() {
	liveMB, shape, collections := 1000.0, 0.0, 3.0
	readOptions(option{"--live-mb", &liveMB, "of live objects, in 10^6 bytes"},
		option{"--wide", &shape, "1: wide trees; 0: linked lists"},
		option{"--collections", &collections, "forced, after one that is not counted"})
	if collections < 1 || collections > 99 {
		fail("--collections is 1 to 99")
	}
	debug.SetGCPercent(-1)
	var checksum, made uint64
	if shape != 0 {
		checksum, made = buildWide(uint64(liveMB * 1e6 / 128))
	} else {
		made = uint64(liveMB * 1e6 / 64)
		checksum = buildLinked(made)
	}
	runtime.GC()
	start()
	before := cpuTime()
	for i := 0; i < int(collections); i++ {
		runtime.GC()
	}
	cpu := cpuTime() - before
	stop()
	metric("objects", float64(made))
	metric("mark_cpu_ns", float64(cpu)/collections/float64(made))
	metric("mark_wall_ns", seconds()*1e9/collections/float64(made))
	end(checksum + made)
}
