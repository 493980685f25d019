/*
 * Allocators for the containers of C++: gc_allocator (collected memory; without pointers for
 * arithmetic types), traceable_allocator (memory that is freed by the container, and is a root
 * until then), gc_allocator_ignore_off_page.
 */
#ifndef GC_ALLOCATOR_H
#define GC_ALLOCATOR_H

#include "gc.h"

#include <cstddef>
#include <limits>
#include <new>
#include <type_traits>

namespace boehmgc
{
template <class T, class Memory> class container_allocator
{
  public:
    typedef T value_type;
    typedef std::true_type is_always_equal;
    template <class U> struct rebind {
        typedef container_allocator<U, Memory> other;
    };

    container_allocator() noexcept
    {
    }
    template <class U> container_allocator(const container_allocator<U, Memory> &) noexcept
    {
    }

    T *
    allocate(std::size_t n, const void * = nullptr)
    {
        if (n > max_size())
            throw std::bad_alloc();
        void *p = Memory::take(n * sizeof(T), std::is_arithmetic<T>::value);
        if (p == nullptr)
            throw std::bad_alloc();
        return static_cast<T *>(p);
    }
    void
    deallocate(T *p, std::size_t) noexcept
    {
        GC_FREE(p);
    }
    std::size_t
    max_size() const noexcept
    {
        return std::numeric_limits<std::ptrdiff_t>::max() / sizeof(T);
    }
};

template <class T, class U, class Memory>
bool
operator==(const container_allocator<T, Memory> &, const container_allocator<U, Memory> &) noexcept
{
    return true;
}
template <class T, class U, class Memory>
bool
operator!=(const container_allocator<T, Memory> &, const container_allocator<U, Memory> &) noexcept
{
    return false;
}

struct collected {
    static void *
    take(std::size_t size, bool pointer_free)
    {
        return pointer_free ? GC_MALLOC_ATOMIC(size) : GC_MALLOC(size);
    }
};
struct collected_ignore_off_page {
    static void *
    take(std::size_t size, bool pointer_free)
    {
        return pointer_free ? GC_MALLOC_ATOMIC_IGNORE_OFF_PAGE(size)
                            : GC_MALLOC_IGNORE_OFF_PAGE(size);
    }
};
struct traced {
    static void *
    take(std::size_t size, bool)
    {
        return GC_MALLOC_UNCOLLECTABLE(size);
    }
};
} // namespace boehmgc

template <class T> using gc_allocator = boehmgc::container_allocator<T, boehmgc::collected>;
template <class T>
using gc_allocator_ignore_off_page =
    boehmgc::container_allocator<T, boehmgc::collected_ignore_off_page>;
template <class T> using traceable_allocator = boehmgc::container_allocator<T, boehmgc::traced>;

#endif
