// The same two programs in Go: a slice returned by address, and by value.
//
//	go run oracle.go
package main

import (
	"fmt"
	"runtime"
	"time"
)

const (
	length = 3
	n      = 100000
)

//go:noinline
func address() *[]int {
	arr := []int{1, 2, 3}
	return &arr
}

//go:noinline
func value(storage *[length]int) []int {
	*storage = [length]int{1, 2, 3}
	return storage[:]
}

func bad() (work int) {
	for i := 0; i < n; i++ {
		work += len(*address())
	}
	return work
}

func fixed() (work int) {
	for i := 0; i < n; i++ {
		var storage [length]int
		work += len(value(&storage))
	}
	return work
}

func measure(variant string, run func() int) {
	var before, after runtime.MemStats
	run()
	runtime.ReadMemStats(&before)
	start := time.Now()
	work := run()
	elapsed := time.Since(start)
	runtime.ReadMemStats(&after)
	fmt.Printf(`{"v":1,"pitfall":"escape","variant":%q,"n":%d,"ops":%d,"work":%d,"time_ns":%d,`+
		`"allocs_per_op":%.4f,"alloc_b_per_op":%.4f,"collections":%d}`+"\n",
		variant, n, n, work, elapsed.Nanoseconds(),
		float64(after.Mallocs-before.Mallocs)/n,
		float64(after.TotalAlloc-before.TotalAlloc)/n, after.NumGC-before.NumGC)
}

func main() {
	measure("bad", bad)
	measure("fixed", fixed)
}
