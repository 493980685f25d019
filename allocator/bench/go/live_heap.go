package main

import (
	"runtime"
	"sync/atomic"
	"time"
)

var liveTables [4][]*cell

func workMeanwhile(collecting *int32, total uint64, r *rng) uint64 {
	read := uint64(0)
	for atomic.LoadInt32(collecting) != 0 {
		i, t := r.below(total), 0
		for i >= uint64(len(liveTables[t])) {
			i -= uint64(len(liveTables[t]))
			t++
		}
		if dropChain(liveTables[t][i]) == 0 {
			fail("an empty chain")
		}
		if read%16 == 0 {
			liveTables[t][i] = makeChain(r)
		}
		read++
	}
	return read
}

// liveHeap: see live_heap.c.
func liveHeap() {
	const firstMB, factor = 64.0, 4
	names := [...]string{"stop_64m_ns", "stop_256m_ns", "stop_1024m_ns", "stop_4096m_ns"}
	topMB, collections := 4096.0, 6.0
	readOptions(
		option{"--top-mb", &topMB, "the largest heap: 64, 256, 1024 or 4096, in 10^6 bytes"},
		option{"--collections", &collections, "forced at each size"})
	random := rng{seed}
	checksum, read, top := uint64(0), uint64(0), 0.0
	total, size := 0, 0
	start()
	for mb := firstMB; size < len(names) && (mb <= topMB || size == 0); mb *= factor {
		own := rng{seed + uint64(size)}
		n := int(mb*1e6/chainMeanB) + 1 - total
		total += n
		liveTables[size] = makeTable(n, &own)
		checksum += own.state
		first := len(stops())
		collecting := int32(1)
		go func() {
			for i := 0; i < int(collections); i++ {
				runtime.GC()
				time.Sleep(time.Millisecond)
			}
			atomic.StoreInt32(&collecting, 0)
		}()
		read += workMeanwhile(&collecting, uint64(total), &random)
		top = longest(stops()[first:])
		metric(names[size], top)
		size++
	}
	stop()
	metric("stop_top_ns", top)
	metric("stop_top_mb", firstMB*float64(int(1)<<(2*(size-1))))
	metric("ops_per_s", float64(read)/seconds())
	end(checksum)
}
