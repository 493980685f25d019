/*
 * Wrong uses of the allocation functions that a compiler sees at the call, by what spanheap.h tells
 * it (spanheap/attributes.h). harness/tests/test_declarations.py compiles this file with gcc -Wall
 * -O2 and expects the warnings named at the lines, and no other. Of what is never NULL it looks for
 * a comparison in the object file.
 */
#include <spanheap.h>

#include <stdlib.h>
#include <string.h>

char free_by_malloc(void);
void free_of_malloc(void);
void free_inside(void);
void free_local(void);
void free_typed_wrongly(void);
char use_after_free(void);
void free_twice(void);
void resize_then_use(void);
void fill_too_much(void);
void *huge(void);
void *huge_product(void);
void sound(void);
void *never_null(const struct sh_type *type, void *p, void *q);
void *perhaps_null(void);

/* Defined nowhere: what calls them only for an object that is NULL is gone, or is not. */
void null_is_gone(void);
void null_is_seen(void);

char
free_by_malloc(void)
{
    char *p = sh_alloc(100);
    p[0] = 1;
    free(p); /* expect: mismatched-dealloc */
    return 0;
}

void
free_of_malloc(void)
{
    char *p = malloc(100);
    sh_free(p); /* expect: mismatched-dealloc */
}

void
free_inside(void)
{
    char *p = sh_alloc_noscan(100);
    sh_free(p + 8); /* expect: free-nonheap-object */
}

void
free_local(void)
{
    char local[100];
    memset(local, 1, sizeof local);
    sh_free(local); /* expect: free-nonheap-object */
}

static const struct sh_type number_type = {"number", 8, NULL, 0};

void
free_typed_wrongly(void)
{
    long *p = sh_alloc_array(&number_type, 100);
    p[0] = 1;
    free(p); /* expect: mismatched-dealloc */
}

char
use_after_free(void)
{
    char *p = sh_alloc(100);
    sh_free(p);
    return p[1]; /* expect: use-after-free */
}

void
free_twice(void)
{
    char *p = sh_alloc(100);
    sh_free(p);
    sh_free(p); /* expect: use-after-free */
}

void
resize_then_use(void)
{
    char *p = sh_alloc(100), *q = sh_realloc(p, 200);
    q[0] = 1;
    p[1] = 2; /* expect: use-after-free */
}

void
fill_too_much(void)
{
    char *p = sh_alloc_noscan(100);
    memset(p, 1, 101); /* expect: array-bounds stringop-overflow */
    sh_free(p);
}

void *
huge(void)
{
    return sh_alloc((size_t)-1); /* expect: alloc-size-larger-than= */
}

void *
huge_product(void)
{
    size_t count = (size_t)1 << 40, size = (size_t)1 << 30;
    return sh_try_alloc(count, size, SH_NOSCAN); /* expect: alloc-size-larger-than= */
}

void
sound(void)
{
    char *p = sh_alloc(100), *q = sh_try_alloc(10, 10, SH_NOSCAN);
    memset(p, 1, 100);
    p = sh_realloc(p, 200);
    p = sh_realloc(p, 300);
    memset(p, 2, 300);
    if (q != NULL)
        memset(q, 3, 100);
    sh_free(p);
    sh_free(q);
}

static void *
checked(void *p)
{
    if (p == NULL)
        null_is_gone();
    return p;
}

/* What is returned is used, so that no allocation is removed. */
void *
never_null(const struct sh_type *type, void *p, void *q)
{
    void **all = checked(sh_alloc(6 * sizeof *all));
    all[0] = checked(sh_alloc_noscan(10));
    all[1] = checked(sh_alloc_typed(type));
    all[2] = checked(sh_alloc_array(type, 10));
    all[3] = checked(sh_realloc(p, 200));
    all[4] = checked(sh_realloc_array(type, q, 20));
    return all;
}

void *
perhaps_null(void)
{
    void *p = sh_try_alloc(10, 10, SH_NOSCAN);
    if (p == NULL)
        null_is_seen();
    return p;
}
