package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"time"
)

// ---- sync.Pool ----

var made, hits int

func makeBuffer() any {
	made++
	b := make([]byte, 1024)
	return &b
}

var buffers = sync.Pool{New: makeBuffer}

func putNew(n int) {
	items := []any{}
	for i := 0; i < n; i++ {
		items = append(items, makeBuffer())
	}
	for _, item := range items {
		put(item)
	}
	made, hits = 0, 0
}

// What is put is marked, and so known again.
func put(item any) {
	(*item.(*[]byte))[0] = 1
	buffers.Put(item)
}

func get() any {
	item := buffers.Get()
	first := &(*item.(*[]byte))[0]
	hits += int(*first)
	*first = 0
	return item
}

func recordBoth(what string) {
	recordNumber("pool/hits/"+what, float64(hits))
	recordNumber("pool/misses/"+what, float64(made))
}

func getMany(n int) {
	made, hits = 0, 0
	for i := 0; i < n; i++ {
		get()
	}
}

func pool() {
	runtime.GOMAXPROCS(1) // items of other processors' private places are not got
	getMany(5)
	recordBoth("empty")
	putNew(10)
	getMany(15)
	recordBoth("15 after 10 were put")
	for collections := 0; collections <= 3; collections++ {
		putNew(10)
		for i := 0; i < collections; i++ {
			runtime.GC()
		}
		getMany(10)
		recordBoth(fmt.Sprintf("10 after 10 were put and %d collections", collections))
	}
	putNew(1)
	for i := 0; i < 5; i++ {
		put(get())
		runtime.GC()
	}
	recordBoth("used in each of 5 cycles")
	debug.SetGCPercent(-1)
	buffers.Put(buffers.Get())
	start := allocatedNow()
	for i := 0; i < 100000; i++ {
		buffers.Put(buffers.Get())
	}
	end := allocatedNow()
	recordNumber("pool/objects an operation", float64(end.objects-start.objects)/100000)
}

// ---- Channels ----

var kinds = []string{"nil", "unbuffered", "buffered empty", "half full", "full",
	"closed unbuffered", "closed empty", "closed half full"}
var operations = []string{"send", "receive", "close", "len", "cap", "select send",
	"select receive", "select two", "range", "close twice", "try all twice"}

func makeKind(kind int) chan int {
	shape := []struct {
		cap, filled int
		closed      bool
	}{{0, 0, false}, {0, 0, false}, {2, 0, false}, {2, 1, false}, {2, 2, false}, {0, 0, true},
		{2, 0, true}, {2, 1, true}}[kind]
	if kind == 0 {
		return nil
	}
	c := make(chan int, shape.cap)
	for i := 1; i <= shape.filled; i++ {
		c <- i
	}
	if shape.closed {
		close(c)
	}
	return c
}

func operate(c chan int, operation string) string {
	switch operation {
	case "send":
		c <- 7
		return fmt.Sprintf("sent, len %d", len(c))
	case "receive":
		v, ok := <-c
		return fmt.Sprint(v, ok)
	case "close":
		close(c)
		return "closed"
	case "len":
		return fmt.Sprint(len(c))
	case "cap":
		return fmt.Sprint(cap(c))
	case "select send":
		select {
		case c <- 7:
			return "sent"
		default:
			return "default"
		}
	case "select receive":
		select {
		case v, ok := <-c:
			return fmt.Sprint(v, ok)
		default:
			return "default"
		}
	case "select two":
		var never chan int
		select {
		case v, ok := <-c:
			return fmt.Sprint(v, ok)
		case <-never:
		}
	case "range":
		n := 0
		for range c {
			n++
		}
		return fmt.Sprintf("%d values", n)
	case "close twice":
		close(c)
		close(c)
	case "try all twice":
		result := ""
		for i := 0; i < 2; i++ {
			select {
			case v, ok := <-c:
				result += fmt.Sprint(v, ok) + ", "
			default:
				result += "default, "
			}
		}
		return result + fmt.Sprintf("len %d", len(c))
	}
	return ""
}

func survive(kind int, operation string, result chan<- string) {
	defer func() {
		if r := recover(); r != nil {
			result <- fmt.Sprint("panic: ", r)
		}
	}()
	result <- operate(makeKind(kind), operation)
}

func channels() {
	for kind, name := range kinds {
		for _, operation := range operations {
			result := make(chan string, 1)
			go survive(kind, operation, result)
			text := "waits"
			select {
			case text = <-result:
			case <-time.After(30 * time.Millisecond):
			}
			recordText("channel/"+name+"/"+operation, text)
		}
	}
}

// ---- defer ----

var words string

func say(word string) { words += word + " " }

func note(r any) {
	if r == nil {
		r = "nil"
	}
	words += fmt.Sprintf("recover(%v) ", r)
}

func recoverIt() { note(recover()) }

func inOrder() {
	defer say("1")
	defer say("2")
	defer say("3")
	say("body")
}

func recovered() {
	defer say("last")
	defer recoverIt()
	defer say("first")
	panic("a")
}

func recoveredTwice() {
	defer recoverIt()
	defer recoverIt()
	panic("b")
}

func panicWith(message string) { panic(message) }

func replaced() {
	defer recoverIt()
	defer panicWith("second")
	panic("first")
}

func recoverInside(message string) {
	defer recoverIt()
	panicWith(message)
}

func nested() {
	defer recoverIt()
	defer recoverInside("inner")
	panic("outer")
}

func late() {
	defer panicWith("late")
	defer recoverIt()
	panic("early")
}

func lateOutside() {
	defer recoverIt()
	late()
	say("not reached")
}

func withoutPanic() { defer recoverIt() }

// The words that both sides have; behind them stands here which pointer it was.
func recoverWords() {
	const most = 64
	text := fmt.Sprint(recover())
	if len(text) > most {
		text = text[:most]
	}
	note(text)
}

func noFunction() {
	defer recoverWords()
	defer say("older")
	var nothing func()
	defer nothing()
	defer say("newer")
	say("body")
}

func pastNine() {
	defer recoverIt()
	nine()
}

func nine() {
	defer say("1")
	defer say("2")
	defer say("3")
	defer say("4")
	defer say("5")
	defer say("6")
	defer say("7")
	defer say("8")
	defer say("9")
	panic("past nine")
}

func doNothing() {}

func holdMany() {
	const loop = 100000
	start := liveNow()
	for i := 0; i < loop; i++ {
		defer doNothing()
	}
	recordNumber("defer/bytes held a call", float64(liveNow()-start)/loop)
}

func defers() {
	for _, c := range []struct {
		name string
		run  func()
	}{{"order", inOrder}, {"recovered", recovered}, {"recovered twice", recoveredTwice},
		{"replaced", replaced}, {"nested", nested}, {"late", lateOutside},
		{"without panic", withoutPanic}, {"no function", noFunction},
		{"past nine", pastNine}} {
		words = ""
		c.run()
		recordText("defer/"+c.name, words)
	}
	holdMany()
}
