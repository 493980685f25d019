package main

import (
	"fmt"
	"math"
	"runtime"
	"runtime/debug"
	"sort"
	"strings"
	"time"
	"unsafe"
)

// What a request is given, by the bytes that one more object counts. Below 16 bytes objects share a
// block unless they hold pointers, and what holds some is of words; there it is the capacity of a
// slice.
func sizesOfObjects() string {
	var text strings.Builder
	before := uint64(0)
	for n := 1; n <= 40000; n++ {
		size := uint64(cap(append([]byte(nil), make([]byte, n)...)))
		if n >= 16 {
			size = ^uint64(0)
			for try := 0; try < 2; try++ { // the runtime itself may allocate meanwhile
				start := allocatedNow()
				sinkBytes = make([]byte, n)
				if bytes := allocatedNow().bytes - start.bytes; bytes < size {
					size = bytes
				}
			}
		}
		if size != before {
			fmt.Fprintf(&text, "%d:%d ", n, size)
		}
		before = size
		if n%4000 == 0 {
			runtime.GC()
		}
	}
	return text.String()
}

func sizes() {
	var text strings.Builder
	before := 0
	for n := 1; n <= 40000; n++ {
		c := cap(append([]byte(nil), make([]byte, n)...))
		if c != before {
			fmt.Fprintf(&text, "%d:%d ", n, c)
		}
		before = c
	}
	recordText("size/first:capacity", text.String())
	debug.SetGCPercent(-1)
	recordText("size/first:object", sizesOfObjects())
	for n := 1; n < 16; n++ {
		least := ^uint64(0) // what the runtime itself allocates comes on top of it now and then
		for try := 0; try < 10; try++ {
			start := allocatedNow()
			for i := 0; i < 15840; i++ {
				sinkBytes = make([]byte, n)
			}
			if bytes := allocatedNow().bytes - start.bytes; bytes < least {
				least = bytes
			}
		}
		recordNumber(fmt.Sprintf("tiny/%d", n), float64(least))
	}
}

var bulk = [][2]int{{0, 5}, {0, 33}, {1, 1000}, {4, 5}, {4, 4}, {255, 1},
	{256, 1}, {256, 257}, {512, 512}, {1000, 1}, {1000, 3000}, {7, 100000}}

func appendsOf[T any]() {
	var zero T
	size := unsafe.Sizeof(zero)
	caps := make([]int, 0, 1000)
	least := ^uint64(0)
	for try := 0; try < 3; try++ {
		var s []T
		caps = caps[:0]
		start := allocatedNow()
		for i, c := 0, 0; i < 1000000; i++ {
			s = append(s, zero)
			if cap(s) != c {
				c = cap(s)
				caps = append(caps, c)
			}
		}
		if bytes := allocatedNow().bytes - start.bytes; bytes < least {
			least = bytes
		}
		sink = unsafe.Pointer(&s[0])
	}
	recordText(fmt.Sprintf("append/caps/%d", size), strings.Trim(fmt.Sprint(caps), "[]")+" ")
	recordNumber(fmt.Sprintf("append/reallocations/%d", size), float64(len(caps)))
	recordNumber(fmt.Sprintf("append/bytes/%d", size), float64(least))
	text := ""
	for _, b := range bulk {
		text += fmt.Sprintf("%d ", cap(append(make([]T, b[0]), make([]T, b[1])...)))
	}
	recordText(fmt.Sprintf("append/bulk/%d", size), text)
	runtime.GC()
}

func appends() {
	debug.SetGCPercent(-1)
	appendsOf[[1]byte]()
	appendsOf[[3]byte]()
	appendsOf[[5]byte]()
	appendsOf[[8]byte]()
	appendsOf[[12]byte]()
	appendsOf[[16]byte]()
	appendsOf[[24]byte]()
	appendsOf[[40]byte]()
}

//go:noinline
func byAddress() *[]uint64 {
	s := make([]uint64, 3)
	return &s
}

//go:noinline
func byValue() [3]uint64 { return [3]uint64{1, 2, 3} }

func escape() {
	const operations = 10000
	sum := uint64(0)
	debug.SetGCPercent(-1)
	start := allocatedNow()
	for i := 0; i < operations; i++ {
		sinkSlice = byAddress()
	}
	end := allocatedNow()
	recordNumber("escape/address/objects", float64(end.objects-start.objects)/operations)
	recordNumber("escape/address/bytes", float64(end.bytes-start.bytes)/operations)
	start = allocatedNow()
	for i := 0; i < operations; i++ {
		sum += byValue()[0]
	}
	end = allocatedNow()
	recordNumber("escape/value/objects", float64(end.objects-start.objects)/operations)
	recordNumber("escape/value/bytes", float64(end.bytes-start.bytes)/operations)
	sinkWords = []uint64{sum}
}

var (
	kept    [][]byte
	closure func() int
)

//go:noinline
func keep(copied bool) {
	parent := make([]byte, 1<<20)
	kept = make([][]byte, 1000)
	for i := range kept {
		w := parent[i*16 : (i+1)*16]
		if copied {
			w = append([]byte(nil), w...)
		}
		kept[i] = w
	}
}

//go:noinline
func capture() {
	all := make([]uint64, 1000000)
	closure = func() int { return len(all) + int(all[0]) }
}

func retention() {
	start := liveNow()
	keep(false)
	recordNumber("retained/windows", float64(liveNow()-start))
	kept = nil
	start = liveNow()
	keep(true)
	recordNumber("retained/copies", float64(liveNow()-start))
	kept = nil
	start = liveNow()
	capture()
	recordNumber("retained/closure", float64(liveNow()-start))
	closure()
}

// ---- The heap profile ----

//go:noinline
func allocateLarge() {
	for i := 0; i < 96<<10; i++ {
		sinkBytes = make([]byte, 4096)
	}
}

//go:noinline
func allocateSmall() {
	for i := 0; i < 2<<20; i++ {
		sinkBytes = make([]byte, 64)
	}
}

// What the samples stand for, as pprof does it.
func estimateNow() (all, large float64) {
	records := make([]runtime.MemProfileRecord, 1000)
	n, _ := runtime.MemProfile(records, true)
	for _, r := range records[:n] {
		if r.AllocObjects == 0 {
			continue
		}
		size := float64(r.AllocBytes) / float64(r.AllocObjects)
		bytes := float64(r.AllocBytes) / (1 - math.Exp(-size/float64(runtime.MemProfileRate)))
		frame, _ := runtime.CallersFrames(r.Stack()).Next()
		all += bytes
		if frame.Function == "main.allocateLarge" {
			large += bytes
		}
	}
	return
}

func farther(a, b float64) float64 {
	if math.Abs(a-1) > math.Abs(b-1) {
		return a
	}
	return b
}

func profile() {
	total, share := 1.0, 1.0
	truth, top := float64(96<<10*4096+2<<20*64), float64(96<<10*4096)
	for i := 0; i < 5; i++ {
		all, large := estimateNow()
		allocateLarge()
		allocateSmall()
		liveNow()
		allAfter, largeAfter := estimateNow()
		total = farther(total, (allAfter-all)/truth)
		share = farther(share, (largeAfter-large)/(allAfter-all)/(top/truth))
	}
	recordNumber("profile/total over the truth", total)
	recordNumber("profile/share of the top function over the truth", share)
}

// ---- Maps ----

var numbers map[uint64]uint64

func growthPoints() {
	text := ""
	largest := uint64(0)
	numbers = map[uint64]uint64{}
	debug.SetGCPercent(-1)
	for i := uint64(0); i < 30000; i++ {
		before := allocatedNow().bytes
		numbers[i] = i
		bytes := allocatedNow().bytes - before
		if bytes > largest+largest/2 {
			largest = bytes
			text += fmt.Sprintf("%d ", i+1)
		}
	}
	recordText("map/grows at", text)
	debug.SetGCPercent(100)
	numbers = nil
}

func maps() {
	growthPoints()
	start := liveNow()
	numbers = map[uint64]uint64{}
	for i := uint64(0); i < 1000000; i++ {
		numbers[i] = i
	}
	recordNumber("map/bytes of 1,000,000", float64(liveNow()-start))
	for i := uint64(0); i < 1000000; i++ {
		delete(numbers, i)
	}
	recordNumber("map/bytes after all were deleted", float64(liveNow()-start))
	recordNumber("map/entries after all were deleted", float64(len(numbers)))
	numbers = map[uint64]uint64{}
	for i := uint64(0); i < 1000; i++ {
		numbers[i] = i
	}
	recordNumber("map/bytes of a new one with 1000", float64(liveNow()-start))
}

// ---- The pacer ----

var live [][]byte

func fill(mib int) {
	live = make([][]byte, mib<<20/1024)
	for i := range live {
		live[i] = make([]byte, 1024)
	}
}

func measure(mib, gogc int) {
	var m runtime.MemStats
	var peaks []float64
	runtime.GC()
	for cycle := 0; cycle < 9; cycle++ {
		runtime.ReadMemStats(&m)
		before, peak := m.NumGC, 0.0
		for m.NumGC == before {
			for i := 0; i < 256; i++ {
				sinkBytes = make([]byte, 1024)
			}
			runtime.ReadMemStats(&m)
			if m.NumGC == before && float64(m.HeapAlloc) > peak {
				peak = float64(m.HeapAlloc)
			}
		}
		peaks = append(peaks, peak/(1<<20))
	}
	sort.Float64s(peaks)
	recordNumber(fmt.Sprintf("goal/peak MiB/%d MiB, GOGC=%d", mib, gogc), peaks[4])
}

func goals() {
	for _, mib := range []int{16, 64, 256} {
		debug.SetGCPercent(100)
		fill(mib)
		for _, gogc := range []int{50, 100, 200} {
			debug.SetGCPercent(gogc)
			measure(mib, gogc)
		}
		live = nil
		runtime.GC()
	}
}

type node struct {
	next  *node
	value [7]uint64
}

var (
	table [][]byte
	list  *node
)

func patterns() {
	cases := []struct {
		name string
		runs int
		run  func(run int)
	}{
		{"64 B, dropped", 1, func(int) {
			for i := 0; i < 4000000; i++ {
				sinkPointer = new(node)
			}
		}},
		{"a slice grows", 1, func(int) {
			var s []uint64
			for i := 0; i < 20000000; i++ {
				s = append(s, 1)
			}
			sinkWords = s
		}},
		{"512 B beside 32 MiB", 1, func(int) {
			table = make([][]byte, 32<<10)
			for i := range table {
				table[i] = make([]byte, 1024)
			}
			for i := 0; i < 1000000; i++ {
				sinkBytes = make([]byte, 512)
			}
			table = nil
		}},
		{"1 MiB, dropped", 1, func(int) {
			for i := 0; i < 2000; i++ {
				sinkBytes = make([]byte, 1<<20)
			}
		}},
		{"lists grow", 8, func(run int) {
			for i := 0; i < run*1000000; i++ {
				list = &node{next: list}
			}
			list = nil
		}},
	}
	for _, c := range cases {
		var before, after runtime.MemStats
		collections := uint32(0)
		for run := 1; run <= c.runs; run++ {
			sinkBytes, sinkWords, sinkPointer = nil, nil, nil
			liveNow()
			runtime.ReadMemStats(&before)
			c.run(run)
			runtime.ReadMemStats(&after)
			collections += after.NumGC - before.NumGC
		}
		recordNumber("collections/"+c.name, float64(collections))
	}
}

func trace() {
	for i := 0; i < 200000; i++ {
		sinkBytes = make([]byte, 64)
	}
	runtime.GC()
	time.Sleep(100 * time.Millisecond) // the last line is written by then
	recordNumber("trace/ran", 1)
}
