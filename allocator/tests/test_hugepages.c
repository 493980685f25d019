/* Huge pages: what the kernel has been told about the heap's addresses, by SH_HUGEPAGES. */
#include "check.h"

#include "heap/pageheap.h"

#define MIB ((size_t)1 << 20)

static struct outcome out;

/* How many of the mappings that cover the heap's usable range have a flag of smaps: "hg" for huge
   pages advised, "nh" for refused. *mappings: how many there are. */
static size_t
count_flagged(const char *flag, size_t *mappings)
{
    char line[4096], word[8];
    uintptr_t base = pageheap.base, top = base + atomic_load(&pageheap.used_b);
    uintptr_t from, to, start = 0, end = 0;
    size_t flagged = 0;
    *mappings = 0;
    snprintf(word, sizeof word, " %s ", flag);
    FILE *f = fopen("/proc/self/smaps", "r");
    need(f != NULL, "there is smaps");
    while (fgets(line, sizeof line, f) != NULL) {
        if (sscanf(line, "%lx-%lx ", &from, &to) == 2) {
            start = from;
            end = to;
        }
        if (strncmp(line, "VmFlags:", 8) != 0 || start >= top || end <= base)
            continue;
        ++*mappings;
        flagged += strstr(line, word) != NULL;
    }
    fclose(f);
    return flagged;
}

/* More than one arena, of which only the first was there at the start. */
static void
show_flags(void)
{
    size_t mappings, asked, refused;
    void *volatile large[3];
    for (size_t i = 0; i < COUNT_OF(large); i++)
        large[i] = sh_alloc_noscan(50 * MIB);
    need(atomic_load(&pageheap.used_b) >= 2 * ARENA_B, "there are several arenas");
    asked = count_flagged("hg", &mappings);
    refused = count_flagged("nh", &mappings);
    need(mappings > 0, "the heap is in smaps");
    fprintf(stderr, "asked %s, refused %s\n",
            asked == mappings ? "all"
            : asked == 0      ? "none"
                              : "some",
            refused == mappings ? "all"
            : refused == 0      ? "none"
                                : "some");
    (void)large[0];
}

static void
expect(const char *setting, const char *shown)
{
    run_anew(&out, "show", (const char *const[]){setting, NULL});
    assert_success(&out);
    assert_string_equal(out.text, shown);
}

static void
skip_without_huge_pages(void)
{
    if (access("/sys/kernel/mm/transparent_hugepage/enabled", R_OK) != 0)
        skip();
}

static void
test_huge_pages_are_left_to_the_system(void **state)
{
    (void)state;
    expect(NULL, "asked none, refused none\n");
}

static void
test_huge_pages_are_asked_for_in_every_arena(void **state)
{
    (void)state;
    skip_without_huge_pages();
    expect("SH_HUGEPAGES=1", "asked all, refused none\n");
}

static void
test_huge_pages_are_refused_in_every_arena(void **state)
{
    (void)state;
    skip_without_huge_pages();
    expect("SH_HUGEPAGES=0", "asked none, refused all\n");
}

int
main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "show") == 0) {
        show_flags();
        return 0;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_huge_pages_are_left_to_the_system),
        cmocka_unit_test(test_huge_pages_are_asked_for_in_every_arena),
        cmocka_unit_test(test_huge_pages_are_refused_in_every_arena),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
