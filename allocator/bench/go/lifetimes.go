package main

import (
	"sync"
	"unsafe"
)

var lifetimesShares []lifetimesShare

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

type lifetimesShare struct {
	table      []*byte
	operations int
	random     rng
	checksum   uint64
}

func (s *lifetimesShare) build(n int) {
	s.table = make([]*byte, n)
	for i := range s.table {
		s.table[i] = &make([]byte, 16)[0]
		*s.table[i] = 1
	}
	for i := 0; i < 2*n; i++ {
		s.checksum += replaceData(s.table, &s.random)
	}
}

func (s *lifetimesShare) run() {
	table, random, checksum := s.table, s.random, uint64(0)
	for i := 0; i < s.operations; i++ {
		checksum += replaceData(table, &random)
	}
	s.checksum += checksum
}

// lifetimes: see lifetimes.c.
func lifetimes() {
	live, operations, threads := 100000.0, 5e6, 1.0
	readOptions(option{"--live", &live, "objects"}, option{"--ops", &operations, "replacements"},
		option{"--threads", &threads, "threads, at most 16"})
	count := int(threads)
	lifetimesShares = make([]lifetimesShare, count)
	var ready, done sync.WaitGroup
	ready.Add(count)
	done.Add(count)
	begin := make(chan bool)
	for t := range lifetimesShares {
		s := &lifetimesShares[t]
		s.operations, s.random = int(operations)/count, rng{seed + uint64(t)}
		go func() {
			s.build(int(live)/count + 1)
			ready.Done()
			<-begin
			s.run()
			done.Done()
		}()
	}
	ready.Wait()
	start()
	close(begin)
	done.Wait()
	stop()
	checksum := uint64(0)
	for _, s := range lifetimesShares {
		checksum += s.checksum
	}
	metric("ns_per_op", seconds()*1e9/operations)
	end(checksum)
}
