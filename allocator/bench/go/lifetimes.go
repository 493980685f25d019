package main

import "unsafe"

var lifetimesTable []*byte

func lastByte(p *byte, size uint64) *byte {
	return (*byte)(unsafe.Add(unsafe.Pointer(p), size-1))
}

func replaceData(table []*byte, r *rng) uint64 {
	const minB, maxB = 16, 1024
	i := r.below(uint64(len(table)))
	size := minB + r.below(maxB-minB+1)
	sum := uint64(*table[i])
	p := &make([]byte, size)[0]
	*p = byte(size)
	*lastByte(p, size) = byte(size)
	table[i] = p
	return sum
}

// lifetimes: see lifetimes.c.
func lifetimes() {
	live, operations := 100000.0, 5e6
	readOptions(option{"--live", &live, "objects"}, option{"--ops", &operations, "replacements"})
	random := rng{seed}
	checksum := uint64(0)
	n := int(live) + 1
	lifetimesTable = make([]*byte, n)
	for i := range lifetimesTable {
		lifetimesTable[i] = &make([]byte, 16)[0]
		*lifetimesTable[i] = 1
	}
	for i := 0; i < 2*n; i++ {
		checksum += replaceData(lifetimesTable, &random)
	}
	start()
	for i := 0; i < int(operations); i++ {
		checksum += replaceData(lifetimesTable, &random)
	}
	stop()
	metric("ns_per_op", seconds()*1e9/operations)
	end(checksum)
}
