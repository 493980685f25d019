/*
 * The stress program: several threads change graphs of a known shape in all the ways that a
 * collector might get wrong, while collections begin every few allocations, and check them object
 * by object.
 *
 *     stress [--seed=n] [--threads=n] [--rounds=n | --seconds=n] [--every=n] [--alone] [--fork]
 *            [--leak=n]
 *
 * --every=n   a collection begins after each n allocations of a thread (0: only by the heap's size)
 * --alone     threads do not exchange trees: what is left is then a function of the seed, and
 *             printed as a digest, the same in every mode of the collector
 * --fork      children are forked meanwhile, which check and use the heap
 * --leak=n    in one round of n an object is made and kept for ever: for the test of the soak
 *
 * Settings of the collector come from the environment: SH_MODE, SH_BARRIER, SH_VERIFY, SH_CLOBBER,
 * SH_GOGC, SH_STRESS_DELAY, SH_STRESS_BUFFERS. Ends with status 0, or by a message.
 */
#include "tree.h"

#include "collector/cycle.h"
#include "collector/verify.h"

#include <getopt.h>
#include <poll.h>

enum { BOXES = 40, SLOTS = 8, PLACES = 8, TINY_HELD = 32 };

/* An old object whose slots are overwritten again and again. */
struct box {
    struct node *slots[SLOTS];
};
static const uint64_t box_mask = (1u << SLOTS) - 1;
static const struct sh_type box_type = {"box", sizeof(struct box), &box_mask, 0};
static const uint64_t one_word = 1;
static const struct sh_type box_pointer_type = {"box *", sizeof(struct box *), &one_word, 0};

static struct {
    uint64_t seed, rounds, seconds, every, leak;
    unsigned threads;
    bool alone, fork;
} options = {.seed = 1, .threads = 3, .rounds = 4000, .every = 200};

/* What --leak keeps, in a chain. */
struct leaked {
    struct leaked *next;
    char bytes[1016];
};
static const struct sh_type leaked_type = {"leaked", sizeof(struct leaked), &one_word, 0};

static _Atomic bool over;
static _Atomic unsigned finished;
static struct node *places[PLACES];                /* a root shared by all threads */
static struct node *_Atomic *_Atomic parlours[16]; /* variables on other threads' stacks */

struct worker {
    pthread_t thread;
    struct rng rng;
    unsigned number;
    uint64_t allocations, rounds, digest;
    struct box **boxes;             /* in the heap */
    struct leaked *leaked;          /* the newest */
    unsigned char *tiny[TINY_HELD]; /* tiny objects, whose blocks others share */
};

/* ---- Allocation, which begins collections ---- */

static void
allocated(struct worker *w)
{
    if (options.every > 0 && ++w->allocations % options.every == 0)
        cycle_begin(SH_TRIGGER_FORCED);
}

static struct node *
grow_tree(struct worker *w)
{
    uint64_t seed = rng_next(&w->rng);
    allocated(w);
    return tree_build(seed, (uint32_t)rng_below(&w->rng, 5));
}

/* ---- What a thread does in a round ---- */

static struct node **
any_slot(struct worker *w)
{
    struct box *box = w->boxes[rng_below(&w->rng, BOXES)];
    return &box->slots[rng_below(&w->rng, SLOTS)];
}

static void
check_slot(struct node *const *slot)
{
    const struct node *n = *slot;
    if (n != NULL)
        tree_check(n, n->seed, n->depth);
}

/* The tree is nowhere but in a register or on the stack for a while, which may be long enough for a
   collection to begin and to end. */
static NOINLINE void
move_through_stack(struct worker *w)
{
    struct node **from = any_slot(w), *n = *from;
    sh_store(from, NULL);
    if (rng_below(&w->rng, 2) == 0)
        sh_store(any_slot(w), grow_tree(w));
    sh_store(any_slot(w), n);
}

/* The tree is nowhere but in a new object, which was filled by a plain store. */
static NOINLINE void
move_through_new_object(struct worker *w)
{
    struct node **from = any_slot(w);
    struct box *fresh = sh_alloc_typed(&box_type);
    fresh->slots[0] = *from;
    sh_store(from, NULL);
    allocated(w);
    for (size_t i = rng_below(&w->rng, 50); i > 0; i--)
        sh_alloc(64);
    sh_store(any_slot(w), fresh->slots[0]);
}

static NOINLINE void
swap_slots(struct worker *w)
{
    struct node **a = any_slot(w), **b = any_slot(w), *n = *a;
    sh_store(a, *b);
    sh_store(b, n);
}

static NOINLINE void
renew_part(struct worker *w)
{
    struct node *n = *any_slot(w);
    if (n == NULL || n->depth == 0)
        return;
    unsigned side = (unsigned)rng_below(&w->rng, 2);
    allocated(w);
    sh_store(side == 0 ? &n->left : &n->right,
             tree_build(tree_child_seed(n->seed, side), n->depth - 1));
}

/* A subtree takes its parent's place: the rest is dropped while a marker may be on its way there.
 */
static NOINLINE void
promote_part(struct worker *w)
{
    struct node **slot = any_slot(w), *n = *slot;
    if (n != NULL && n->depth > 0)
        sh_store(slot, rng_below(&w->rng, 2) == 0 ? n->left : n->right);
}

static NOINLINE void
replace_box(struct worker *w)
{
    size_t i = rng_below(&w->rng, BOXES);
    struct box *fresh = sh_alloc_typed(&box_type);
    allocated(w);
    if (rng_below(&w->rng, 2) == 0)
        memcpy(fresh, w->boxes[i], sizeof *fresh); /* new: plain stores will do */
    else
        sh_memmove(fresh, w->boxes[i], sizeof *fresh);
    sh_store(&w->boxes[i], fresh);
}

static int
by_seed(const void *a, const void *b, void *arg)
{
    const struct node *x = *(struct node *const *)a, *y = *(struct node *const *)b;
    uint64_t s = x == NULL ? 0 : x->seed, t = y == NULL ? 0 : y->seed;
    (void)arg;
    return s < t ? -1 : s > t;
}

static NOINLINE void
shift_or_sort_box(struct worker *w)
{
    struct box *box = w->boxes[rng_below(&w->rng, BOXES)];
    size_t from = rng_below(&w->rng, SLOTS), to = rng_below(&w->rng, SLOTS);
    size_t n = SLOTS - (from > to ? from : to);
    if (rng_below(&w->rng, 3) == 0)
        sh_sort(box->slots, SLOTS, sizeof *box->slots, by_seed, NULL);
    else
        sh_memmove(&box->slots[to], &box->slots[from], n * sizeof *box->slots);
}

/* Tiny objects are handed out of a block without a look at its mark. */
static NOINLINE void
renew_tiny(struct worker *w)
{
    size_t i = rng_below(&w->rng, TINY_HELD);
    if (w->tiny[i] != NULL)
        need(w->tiny[i][0] == (unsigned char)i && w->tiny[i][6] == (unsigned char)i,
             "a tiny object is what it was");
    unsigned char *fresh = sh_alloc_noscan(7);
    memset(fresh, (int)i, 7);
    allocated(w);
    w->tiny[i] = fresh;
}

/* What is given away is new: other trees may be in several slots, and no two threads change one. */
static NOINLINE void
exchange_with_others(struct worker *w)
{
    size_t i = rng_below(&w->rng, PLACES);
    struct node *theirs = sh_exchange(&places[i], grow_tree(w));
    if (theirs != NULL)
        tree_check(theirs, theirs->seed, theirs->depth);
    sh_store(any_slot(w), theirs);
}

/* Another thread's variable: it may hold the only pointer to a tree, and be changed by us. */
static NOINLINE void
exchange_on_a_stack(struct worker *w)
{
    struct node *_Atomic *parlour = atomic_load(&parlours[rng_below(&w->rng, options.threads)]);
    if (parlour == NULL)
        return;
    struct node *theirs = atomic_exchange(parlour, grow_tree(w));
    if (theirs != NULL)
        tree_check(theirs, theirs->seed, theirs->depth);
    sh_store(any_slot(w), theirs);
}

static void
work_alone(struct worker *w)
{
    switch (rng_below(&w->rng, 12)) {
    case 0:
    case 1:
        sh_store(any_slot(w), grow_tree(w));
        break;
    case 2:
        sh_store(any_slot(w), NULL);
        break;
    case 3:
        move_through_stack(w);
        break;
    case 4:
        move_through_new_object(w);
        break;
    case 5:
        swap_slots(w);
        break;
    case 6:
        renew_part(w);
        break;
    case 7:
        promote_part(w);
        break;
    case 8:
        replace_box(w);
        break;
    case 9:
        shift_or_sort_box(w);
        break;
    case 10:
        renew_tiny(w);
        break;
    default:
        check_slot(any_slot(w));
    }
}

/* Both kinds of waiting: as a safe region, and in a system call that the stop signal interrupts. */
static void
wait_a_little(struct worker *w)
{
    bool safe = rng_below(&w->rng, 2) == 0;
    if (safe)
        sh_blocking_begin();
    poll(NULL, 0, 1);
    if (safe)
        sh_blocking_end();
}

static NOINLINE void *
check_slot_elsewhere(void *slot)
{
    check_slot(slot);
    return tree_build(7, 3); /* a result that nobody else holds */
}

/* A thread that comes and goes: its argument is a heap address, its result the only pointer. */
static void
churn_thread(struct worker *w)
{
    pthread_t thread;
    void *result = NULL;
    struct node **slot = any_slot(w);
    need(sh_thread_create(&thread, NULL, check_slot_elsewhere, slot) == 0, "a thread is made");
    need(sh_thread_join(thread, &result) == 0, "it is joined");
    tree_check(result, 7, 3);
}

static void
fork_and_check(struct worker *w)
{
    pid_t child = fork();
    if (child == 0) {
        for (size_t b = 0; b < BOXES; b++)
            for (size_t s = 0; s < SLOTS; s++)
                check_slot(&w->boxes[b]->slots[s]);
        for (int i = 0; i < 200; i++)
            work_alone(w);
        sh_collect();
        verify_now();
        _exit(0);
    }
    int status = 1;
    sh_blocking_begin();
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    sh_blocking_end();
    need(status == 0, "the child of a fork ends well");
}

static void
work_with_others(struct worker *w)
{
    switch (rng_below(&w->rng, 4)) {
    case 0:
        exchange_with_others(w);
        break;
    case 1:
        exchange_on_a_stack(w);
        break;
    default:
        work_alone(w);
    }
    size_t rare = rng_below(&w->rng, 2000);
    if (rare < 4)
        churn_thread(w);
    else if (rare < 10)
        wait_a_little(w);
    else if (rare == 10 && options.fork)
        fork_and_check(w);
}

/* ---- The program ---- */

static void
add_to_digest(uint64_t *digest, uint64_t x)
{
    *digest = (*digest ^ x) * UINT64_C(0x100000001b3);
}

static void
finish(struct worker *w)
{
    for (size_t b = 0; b < BOXES; b++)
        for (size_t s = 0; s < SLOTS; s++) {
            const struct node *n = w->boxes[b]->slots[s];
            check_slot(&w->boxes[b]->slots[s]);
            add_to_digest(&w->digest, n == NULL ? 0 : n->seed + n->depth);
        }
}

static void
leak(struct worker *w)
{
    struct leaked *fresh = sh_alloc_typed(&leaked_type);
    fresh->next = w->leaked; /* new: a plain store will do */
    memset(fresh->bytes, 1, sizeof fresh->bytes);
    w->leaked = fresh;
}

static void *
stress(void *arg)
{
    struct worker *w = arg;
    struct node *_Atomic parlour = NULL;
    w->boxes = sh_alloc_array(&box_pointer_type, BOXES);
    for (size_t b = 0; b < BOXES; b++)
        sh_store(&w->boxes[b], sh_alloc_typed(&box_type));
    atomic_store(&parlours[w->number], &parlour);
    while (options.seconds > 0 ? !atomic_load(&over) : w->rounds < options.rounds) {
        if (options.alone)
            work_alone(w);
        else
            work_with_others(w);
        if (options.leak > 0 && rng_below(&w->rng, options.leak) == 0)
            leak(w);
        w->rounds++;
    }
    finish(w);
    atomic_fetch_add(&finished, 1);
    while (atomic_load(&finished) < options.threads) /* others may still look into the parlour */
        wait_a_little(w);
    return NULL;
}

static void
read_options(int argc, char **argv)
{
    static const struct option known[] = {
        {"seed", required_argument, NULL, 's'},
        {"threads", required_argument, NULL, 't'},
        {"rounds", required_argument, NULL, 'r'},
        {"seconds", required_argument, NULL, 'd'},
        {"every", required_argument, NULL, 'e'},
        {"alone", no_argument, NULL, 'a'},
        {"fork", no_argument, NULL, 'f'},
        {"leak", required_argument, NULL, 'l'},
        {NULL, 0, NULL, 0},
    };
    for (int o; (o = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        uint64_t value = optarg == NULL ? 0 : strtoull(optarg, NULL, 10);
        if (o == 's')
            options.seed = value;
        else if (o == 't')
            options.threads = value >= 1 && value <= COUNT_OF(parlours) ? (unsigned)value : 1;
        else if (o == 'r')
            options.rounds = value;
        else if (o == 'd')
            options.seconds = value;
        else if (o == 'e')
            options.every = value;
        else if (o == 'l')
            options.leak = value;
        else if (o == 'a')
            options.alone = true;
        else if (o == 'f')
            options.fork = true;
        else
            exit(2);
    }
}

/* A stop signal that was sent before the safe region began may still interrupt the sleep. */
static void
sleep_until_over(void)
{
    struct timespec end;
    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_sec += (time_t)options.seconds;
    sh_blocking_begin();
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &end, NULL) == EINTR) {
    }
    sh_blocking_end();
}

static struct worker workers[COUNT_OF(parlours)]; /* a root: holds each thread's boxes */

int
main(int argc, char **argv)
{
    struct sh_stats stats;
    uint64_t digest = 0, rounds = 0;
    read_options(argc, argv);
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (unsigned i = 0; i < options.threads; i++) {
        workers[i] = (struct worker){.rng = {(options.seed + i) * UINT64_C(0x9e3779b97f4a7c15) | 1},
                                     .number = i};
        need(sh_thread_create(&workers[i].thread, NULL, stress, &workers[i]) == 0, "a thread");
    }
    sleep_until_over();
    atomic_store(&over, true);
    for (unsigned i = 0; i < options.threads; i++) {
        need(sh_thread_join(workers[i].thread, NULL) == 0, "a thread is joined");
        add_to_digest(&digest, workers[i].digest);
        rounds += workers[i].rounds;
    }
    sh_collect();
    verify_now();
    sh_stats_read(&stats);
    printf("digest %016llx\n", (unsigned long long)digest);
    printf("rounds %llu collections %u stops %u\n", (unsigned long long)rounds, stats.num_gc,
           stats.num_stops);
    return 0;
}
