package main

import (
	"sort"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"
)

var (
	sink      uint64
	allocSize int
)

// newArray allocates an array; on the heap, because its address leaves the function.
//
//go:noinline
func newArray[T any]() *byte { return (*byte)(unsafe.Pointer(new(T))) }

func allocateBatchOf[T any]() uint64 {
	sum := uint64(0)
	var zero T
	size := uint64(unsafe.Sizeof(zero))
	for i := 0; i < allocBatch; i++ {
		p := newArray[T]()
		sum += uint64(*p) + uint64(*lastByte(p, size)) + size
	}
	return sum
}

// allocateBatch: new() of a type with a known size is faster in Go than make() of a variable one.
func allocateBatch() uint64 {
	switch allocSize {
	case 16:
		return allocateBatchOf[[16]byte]()
	case 64:
		return allocateBatchOf[[64]byte]()
	case 256:
		return allocateBatchOf[[256]byte]()
	default:
		return allocateBatchOf[[1024]byte]()
	}
}

const (
	allocBatch   = 1000
	allocChecked = 100000
	allocThreads = 2
)

type allocPhase struct {
	start, end time.Time
	objects    uint64
	_          [64]byte
}

func (p *allocPhase) allocate(length time.Duration) {
	now, sum, objects := time.Now(), uint64(0), uint64(0)
	p.start = now
	for now.Sub(p.start) < length {
		sum += allocateBatch()
		objects += allocBatch
		now = time.Now()
	}
	p.end = now
	p.objects = objects
	atomic.AddUint64(&sink, sum)
}

func nsPerObjectOfOne(length time.Duration) float64 {
	var p allocPhase
	p.allocate(length)
	return float64(p.end.Sub(p.start)) / float64(p.objects)
}

func nsPerObjectOfTwo(length time.Duration) float64 {
	var phases [allocThreads]allocPhase
	var ready int32
	var all sync.WaitGroup
	for i := range phases {
		all.Add(1)
		go func(p *allocPhase) {
			atomic.AddInt32(&ready, 1)
			for atomic.LoadInt32(&ready) < allocThreads {
			}
			p.allocate(length)
			all.Done()
		}(&phases[i])
	}
	all.Wait()
	a, b := &phases[0], &phases[1]
	first, last := a.start, a.end
	if b.start.Before(first) {
		first = b.start
	}
	if b.end.After(last) {
		last = b.end
	}
	return float64(last.Sub(first)) / float64(a.objects+b.objects)
}

func medianOf(measure func(time.Duration) float64, length time.Duration, phases int) float64 {
	values := make([]float64, phases)
	for i := range values {
		values[i] = measure(length)
	}
	sort.Float64s(values)
	return values[phases/2]
}

// alloc: see alloc.c.
func alloc() {
	size, phases, phaseMS := 64.0, 5.0, 100.0
	readOptions(option{"--size", &size, "bytes of an object"},
		option{"--phases", &phases, "of one thread, then of two; an odd number"},
		option{"--phase-ms", &phaseMS, "length of a phase"})
	if size != 16 && size != 64 && size != 256 && size != 1024 || phases < 1 || phases > 99 {
		fail("--size is 16, 64, 256 or 1024, --phases 1 to 99")
	}
	allocSize = int(size)
	length := time.Duration(phaseMS * 1e6)
	checksum := uint64(0)
	for i := 0; i < allocChecked/allocBatch; i++ {
		checksum += allocateBatch()
	}
	start()
	one := medianOf(nsPerObjectOfOne, length, int(phases))
	two := medianOf(nsPerObjectOfTwo, length, int(phases))
	stop()
	metric("ns_per_op", one)
	metric("ns_per_op_2", two)
	metric("scaling", one/two)
	end(checksum)
}
