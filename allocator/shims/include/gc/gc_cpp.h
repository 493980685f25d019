/*
 * Collected objects in C++.
 *
 *     struct node : public gc { ... };              new node is collected, and not destroyed
 *     struct file : public gc_cleanup { ... };      its destructor runs when it dies
 *     new (GC) int[10], new (PointerFreeGC) char[n], new (NoGC) thing
 */
#ifndef GC_CPP_H
#define GC_CPP_H

#include "gc.h"

#include <cstddef>
#include <new>

enum GCPlacement {
    UseGC,
    GC = UseGC,
    NoGC, /* a root, until it is deleted */
    PointerFreeGC,
    PointerFree = PointerFreeGC
};

typedef void (*GCCleanUpFunc)(void *object, void *arg);

namespace boehmgc
{
inline void *
allocate(std::size_t size, GCPlacement where)
{
    void *p = where == UseGC           ? GC_MALLOC(size)
              : where == PointerFreeGC ? GC_MALLOC_ATOMIC(size)
                                       : GC_MALLOC_UNCOLLECTABLE(size);
    if (p == nullptr)
        throw std::bad_alloc();
    return p;
}
} // namespace boehmgc

class gc
{
  public:
    void *
    operator new(std::size_t size)
    {
        return boehmgc::allocate(size, UseGC);
    }
    void *
    operator new(std::size_t size, GCPlacement where)
    {
        return boehmgc::allocate(size, where);
    }
    void *
    operator new(std::size_t, void *p) noexcept
    {
        return p;
    }
    void
    operator delete(void *p) noexcept
    {
        GC_FREE(p);
    }
    void
    operator delete(void *p, GCPlacement) noexcept
    {
        GC_FREE(p);
    }
    void
    operator delete(void *, void *) noexcept
    {
    }
    void *
    operator new[](std::size_t size)
    {
        return boehmgc::allocate(size, UseGC);
    }
    void *
    operator new[](std::size_t size, GCPlacement where)
    {
        return boehmgc::allocate(size, where);
    }
    void *
    operator new[](std::size_t, void *p) noexcept
    {
        return p;
    }
    void
    operator delete[](void *p) noexcept
    {
        GC_FREE(p);
    }
    void
    operator delete[](void *p, GCPlacement) noexcept
    {
        GC_FREE(p);
    }
    void
    operator delete[](void *, void *) noexcept
    {
    }
};

/* The destructor runs as a finalizer of the whole object, in order, its own pointers to itself not
   counted. */
class gc_cleanup : virtual public gc
{
  public:
    gc_cleanup()
    {
        GC_finalization_proc old_proc = nullptr;
        void *old_arg = nullptr;
        void *base = GC_base(this);
        if (base == nullptr)
            return;
        std::ptrdiff_t offset = reinterpret_cast<char *>(this) - static_cast<char *>(base);
        GC_register_finalizer_ignore_self(base, destroy, reinterpret_cast<void *>(offset),
                                          &old_proc, &old_arg);
        if (old_proc != nullptr) /* a part of an object that has one */
            GC_register_finalizer_ignore_self(base, old_proc, old_arg, nullptr, nullptr);
    }
    virtual ~gc_cleanup()
    {
        void *base = GC_base(this);
        if (base != nullptr)
            GC_register_finalizer_ignore_self(base, nullptr, nullptr, nullptr, nullptr);
    }

  private:
    static void
    destroy(void *object, void *offset)
    {
        char *self = static_cast<char *>(object) + reinterpret_cast<std::ptrdiff_t>(offset);
        reinterpret_cast<gc_cleanup *>(self)->~gc_cleanup();
    }
};

/* Of any type, with a function to call when the object dies. */
inline void *
operator new(std::size_t size, GCPlacement where, GCCleanUpFunc cleanup = nullptr,
             void *arg = nullptr)
{
    void *p = boehmgc::allocate(size, where);
    if (cleanup != nullptr && where != NoGC)
        GC_register_finalizer_ignore_self(p, cleanup, arg, nullptr, nullptr);
    return p;
}

inline void *
operator new[](std::size_t size, GCPlacement where, GCCleanUpFunc cleanup = nullptr,
               void *arg = nullptr)
{
    return operator new(size, where, cleanup, arg);
}

inline void
operator delete(void *p, GCPlacement, GCCleanUpFunc, void *)
{
    GC_FREE(p);
}

#endif
