// The Go side of the fidelity run; see ../fidelity.h. Each program prints the keys that its
// namesake in C prints.
package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"unsafe"
)

var programs = map[string]func(){
	"sizes": sizes, "appends": appends, "escape": escape, "retention": retention, "pool": pool,
	"channels": channels, "defers": defers, "goals": goals, "patterns": patterns, "trace": trace,
	"maps": maps, "profile": profile,
}

// What is stored here escapes.
var (
	sink        unsafe.Pointer
	sinkBytes   []byte
	sinkSlice   *[]uint64
	sinkWords   []uint64
	sinkPointer *node
)

func recordNumber(key string, value float64) {
	fmt.Printf("{\"key\": %q, \"value\": %.17g}\n", key, value)
}

func recordText(key, value string) {
	fmt.Printf("{\"key\": %q, \"value\": %q}\n", key, value)
}

type allocated struct{ objects, bytes uint64 }

func allocatedNow() allocated {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return allocated{m.Mallocs, m.TotalAlloc}
}

func liveNow() uint64 {
	for i := 0; i < 3; i++ {
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func main() {
	if len(os.Args) == 2 {
		if run := programs[os.Args[1]]; run != nil {
			run()
			return
		}
	}
	names := []string{}
	for name := range programs {
		names = append(names, name)
	}
	fmt.Fprintln(os.Stderr, "usage: fidelity PROGRAM, one of:", strings.Join(names, " "))
	os.Exit(2)
}
