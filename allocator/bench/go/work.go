// The works of bench/ in Go: the same steps as in C, file by file, on the same random numbers.
//
// One program; the name it is called by chooses the work (build/bench/go/churn is a link to it).
//
// Stops come from the runtime's own trace line (GODEBUG=gctrace=1), the only place where Go 1.19
// tells both stops of a cycle apart: "0.018+2.0+0.036 ms clock" has them first and last, cut to two
// digits, so a stop may be up to 10 % longer than reported here. The harness starts the program with
// that variable and with standard error in a file; without them it starts itself so. It reads the
// file at the end.
package main

import (
	"fmt"
	"math"
	"math/bits"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// ---- Options: --name NUMBER ---------------------------------------------------------------------

type option struct {
	name    string
	value   *float64
	meaning string
}

func fail(format string, values ...any) {
	fmt.Fprintf(os.Stderr, "%s (go): %s\n", state.work, fmt.Sprintf(format, values...))
	os.Exit(1)
}

func usage(problem string, options []option) {
	fmt.Fprintf(os.Stderr, "%s: %s\nusage: %s", state.work, problem, state.work)
	for _, o := range options {
		fmt.Fprintf(os.Stderr, " [%s %g]", o.name, *o.value)
	}
	fmt.Fprintln(os.Stderr)
	for _, o := range options {
		fmt.Fprintf(os.Stderr, "  %-14s %s\n", o.name, o.meaning)
	}
	os.Exit(2)
}

// readOptions is work_begin().
func readOptions(options ...option) {
	args := os.Args[1:]
	for i := 0; i < len(args); i += 2 {
		var found *option
		for j := range options {
			if options[j].name == args[i] {
				found = &options[j]
			}
		}
		if found == nil {
			usage("no such option: "+args[i], options)
		}
		if i+1 == len(args) {
			usage("a number is missing after "+args[i], options)
		}
		value, err := strconv.ParseFloat(args[i+1], 64)
		if err != nil || !(value >= 0 && value < 1e12) {
			usage("not a number that makes sense: "+args[i+1], options)
		}
		*found.value = value
	}
}

// ---- The timed region ---------------------------------------------------------------------------

var state struct {
	work             string
	start, end       time.Time
	startCPU, endCPU time.Duration
	figures          []string
}

func cpuTime() time.Duration {
	var usage syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func start() {
	state.startCPU = cpuTime()
	state.start = time.Now()
}

func stop() {
	state.end = time.Now()
	state.endCPU = cpuTime()
}

func seconds() float64 {
	return state.end.Sub(state.start).Seconds()
}

func peakRSS() float64 {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return -1
	}
	for _, line := range strings.Split(string(text), "\n") {
		words := strings.Fields(line)
		if len(words) > 1 && words[0] == "VmHWM:" {
			kib, _ := strconv.ParseFloat(words[1], 64)
			return kib * 1024
		}
	}
	return -1
}

// ---- Stops --------------------------------------------------------------------------------------

// traceOn makes sure that the runtime writes its trace lines into a file on descriptor 2.
func traceOn() {
	if os.Getenv("GODEBUG") == "gctrace=1" && isFile(2) {
		return
	}
	os.Setenv("GODEBUG", "gctrace=1")
	recordIsWanted := isFile(recordFd) // before the trace's file takes that number
	trace, err := os.CreateTemp("", "gctrace")
	if err != nil {
		fail("%v", err)
	}
	os.Remove(trace.Name())
	child := &exec.Cmd{Path: "/proc/self/exe", Args: os.Args, Stdin: os.Stdin, Stdout: os.Stdout,
		Stderr: trace}
	if recordIsWanted {
		child.ExtraFiles = []*os.File{os.NewFile(recordFd, "record")}
	}
	err = child.Run()
	text, _ := os.ReadFile(fmt.Sprintf("/proc/self/fd/%d", trace.Fd()))
	for _, line := range strings.SplitAfter(string(text), "\n") {
		if !strings.HasPrefix(line, "gc ") {
			os.Stderr.WriteString(line)
		}
	}
	if child.ProcessState == nil {
		fail("%v", err)
	}
	os.Exit(child.ProcessState.ExitCode())
}

func isFile(descriptor int) bool {
	var is syscall.Stat_t
	return syscall.Fstat(descriptor, &is) == nil && is.Mode&syscall.S_IFMT == syscall.S_IFREG
}

// stops gives the length in ns of every stop so far.
func stops() []float64 {
	text, err := os.ReadFile("/proc/self/fd/2")
	if err != nil {
		fail("the trace cannot be read: %v", err)
	}
	var found []float64
	for _, line := range strings.Split(string(text), "\n") {
		if !strings.HasPrefix(line, "gc ") {
			continue
		}
		_, clock, _ := strings.Cut(line, "%: ")
		clock, _, complete := strings.Cut(clock, " ms clock")
		parts := strings.Split(clock, "+")
		if !complete || len(parts) != 3 {
			fail("a trace line that is not understood: %s", line)
		}
		for _, part := range []string{parts[0], parts[2]} {
			ms, err := strconv.ParseFloat(part, 64)
			if err != nil {
				fail("a trace line that is not understood: %s", line)
			}
			found = append(found, math.Round(ms*1e6))
		}
	}
	return found
}

func longest(stops []float64) float64 {
	result := 0.0
	for _, s := range stops {
		result = math.Max(result, s)
	}
	return result
}

func addStopFigures(lengths []float64) {
	n := len(lengths)
	metric("stops", float64(n))
	if n == 0 {
		noMetric("stop_max_ns", "no collection in this run")
		noMetric("stop_p99_ns", "no collection in this run")
		return
	}
	sort.Float64s(lengths)
	metric("stop_max_ns", lengths[n-1])
	metric("stop_p99_ns", lengths[(n*99+99)/100-1])
}

// ---- Latencies: a log-linear histogram, 0.8 % wide ----------------------------------------------

const histogramBits = 7

type histogram struct {
	count, longest uint64
	buckets        [8192]uint32
}

func (h *histogram) add(value uint64) {
	bucket := value
	if value >= 2<<histogramBits {
		shift := uint64(63-bits.LeadingZeros64(value)) - histogramBits
		bucket = shift<<histogramBits + value>>shift
	}
	h.buckets[bucket]++
	h.count++
	if value > h.longest {
		h.longest = value
	}
}

func (h *histogram) quantile(share float64) float64 {
	wanted, seen := share*float64(h.count), uint64(0)
	for i, n := range h.buckets {
		seen += uint64(n)
		if seen > 0 && float64(seen) >= wanted {
			top := uint64(i)
			if i >= 2<<histogramBits {
				shift := uint64(i)>>histogramBits - 1
				top = (uint64(i)-shift<<histogramBits+1)<<shift - 1
			}
			if top < h.longest {
				return float64(top)
			}
			break
		}
	}
	return float64(h.longest)
}

// ---- Random numbers: xorshift64*, the same in C -------------------------------------------------

const seed = 0x9e3779b97f4a7c15

type rng struct{ state uint64 }

func (r *rng) next() uint64 {
	r.state ^= r.state >> 12
	r.state ^= r.state << 25
	r.state ^= r.state >> 27
	return r.state * 2685821657736338717
}

// below gives a number in [0, n).
func (r *rng) below(n uint64) uint64 {
	high, _ := bits.Mul64(r.next(), n)
	return high
}

// ---- The record ---------------------------------------------------------------------------------

func metric(name string, value float64) {
	state.figures = append(state.figures,
		fmt.Sprintf("%q:%s", name, strconv.FormatFloat(value, 'g', 15, 64)))
}

func noMetric(name, why string) {
	state.figures = append(state.figures, fmt.Sprintf("%q:null,%q:%q", name, "why_"+name, why))
}

// A descriptor 3 that is not a file is somebody else's.
const recordFd = 3

func end(checksum uint64) {
	metric("work_s", seconds())
	metric("cpu_s", (state.endCPU - state.startCPU).Seconds())
	if peak := peakRSS(); peak < 0 {
		noMetric("peak_rss_b", "/proc/self/status cannot be read")
	} else {
		metric("peak_rss_b", peak)
	}
	lengths := stops()
	addStopFigures(lengths)
	head := fmt.Sprintf(`{"v":1,"work":%q,"peer":"go","checksum":%d,%s`, state.work,
		checksum&(1<<53-1), strings.Join(state.figures, ","))
	if !isFile(recordFd) {
		fmt.Println(head + "}")
		return
	}
	const listedMax = 1000
	if len(lengths) > listedMax {
		lengths = lengths[len(lengths)-listedMax:]
	}
	var listed []string
	for _, length := range lengths {
		listed = append(listed, strconv.FormatFloat(length, 'f', 0, 64))
	}
	record := os.NewFile(recordFd, "record")
	if _, err := fmt.Fprintf(record, "%s,\"pause_ns\":[%s]}\n", head,
		strings.Join(listed, ",")); err != nil {
		fail("the record cannot be written: %v", err)
	}
}

var works = map[string]func(){
	"alloc":        alloc,
	"binary-trees": binaryTrees,
	"churn":        churn,
	"gcbench":      gcbench,
	"lifetimes":    lifetimes,
	"live-heap":    liveHeap,
	"marking":      marking,
	"types":        types,
}

func main() {
	state.work = filepath.Base(os.Args[0])
	work, known := works[state.work]
	if !known {
		fail("call it by the name of a work")
	}
	traceOn()
	work()
}
