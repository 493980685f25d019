package main

import "unsafe"

// The live data of churn and live-heap: see chain.h.

const (
	chainCells = 8
	chainMeanB = chainCells * 96
)

type cell struct {
	next, prev *cell
	key, size  uint64
}

type (
	cell64 struct {
		cell
		rest [64 - 32]byte
	}
	cell80 struct {
		cell
		rest [80 - 32]byte
	}
	cell96 struct {
		cell
		rest [96 - 32]byte
	}
	cell112 struct {
		cell
		rest [112 - 32]byte
	}
	cell128 struct {
		cell
		rest [128 - 32]byte
	}
)

// last is the last word of a cell.
func (c *cell) last() *uint64 {
	return (*uint64)(unsafe.Add(unsafe.Pointer(c), c.size-8))
}

func newCell(kind uint) *cell {
	var c *cell
	switch kind {
	case 0:
		c = &new(cell64).cell
	case 1:
		c = &new(cell80).cell
	case 2:
		c = &new(cell96).cell
	case 3:
		c = &new(cell112).cell
	default:
		c = &new(cell128).cell
	}
	c.size = 64 + uint64(kind)*16
	return c
}

func makeChain(r *rng) *cell {
	random := r.next()
	var head, tail *cell
	for i := uint(0); i < chainCells; i++ {
		c := newCell(uint(random>>(8*i)&0xff) % 5)
		c.next = nil
		c.prev = tail
		c.key = random + uint64(i)
		*c.last() = c.key
		if tail == nil {
			head = c
		} else {
			tail.next = c
		}
		tail = c
	}
	return head
}

// dropChain reads a whole chain and returns the sum of its keys.
func dropChain(c *cell) uint64 {
	sum := uint64(0)
	for c != nil {
		next := c.next
		sum += c.key ^ *c.last() ^ c.size
		c = next
	}
	return sum
}

func makeTable(n int, r *rng) []*cell {
	table := make([]*cell, n)
	for i := range table {
		table[i] = makeChain(r)
	}
	return table
}

func replaceChain(table []*cell, r *rng) uint64 {
	i := r.below(uint64(len(table)))
	sum := dropChain(table[i])
	table[i] = makeChain(r)
	return sum
}
