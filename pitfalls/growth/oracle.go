// The same programs in Go: append from capacity 1, presized, and into a fixed array.
//
//	go run oracle.go               # records
//	go run oracle.go -capacities   # the lines of capacities.csv
package main

import (
	"flag"
	"fmt"
	"runtime"
	"time"
)

const n = 10000

var (
	room [n]int64
	sink []int64
)

//go:noinline
func appendAll(s []int64, count int) []int64 {
	for i := 0; i < count; i++ {
		s = append(s, int64(i))
	}
	return s
}

func bad() int {
	sink = appendAll(make([]int64, 0, 1), n)
	return len(sink)
}

func fixed() int {
	sink = appendAll(make([]int64, 0, n), n)
	return len(sink)
}

func array() int {
	sink = appendAll(room[:0], n)
	return len(sink)
}

func capacities(most int) {
	fmt.Println("element,element_b,capacities")
	fmt.Print("int64,8,")
	s := make([]int64, 0, 1)
	fmt.Print(cap(s))
	for i := 0; i < most; i++ {
		before := cap(s)
		s = append(s, int64(i))
		if cap(s) != before {
			fmt.Print(" ", cap(s))
		}
	}
	fmt.Println()
}

func measure(variant string, run func() int) {
	var before, after runtime.MemStats
	run()
	runtime.ReadMemStats(&before)
	start := time.Now()
	work := run()
	elapsed := time.Since(start)
	runtime.ReadMemStats(&after)
	fmt.Printf(`{"v":1,"pitfall":"growth","variant":%q,"n":%d,"ops":1,"work":%d,"time_ns":%d,`+
		`"allocs_per_op":%d,"alloc_b_per_op":%d,"final_cap":%d}`+"\n",
		variant, n, work, elapsed.Nanoseconds(), after.Mallocs-before.Mallocs,
		after.TotalAlloc-before.TotalAlloc, cap(sink))
}

func main() {
	only := flag.Bool("capacities", false, "print the capacities that append goes through")
	flag.Parse()
	if *only {
		capacities(120000)
		return
	}
	measure("bad", bad)
	measure("fixed", fixed)
	measure("fixed.array", array)
}
