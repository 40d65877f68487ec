//===- ObjC.h - Objective-C without its headers ---------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// Everything is found by name when a device is opened, so the same file
// compiles on every system, without an SDK. A message is a call of the method's
// implementation:
//
//   id data = objc.send<id>(objc.find("NSData"),
//   objc.sel("dataWithBytes:length:"), bytes, size);
//
// The two runtimes differ in two places: gcc's (GNUstep) has object_getClass
// only in a header, where the first word of an object is its class; Apple's has
// pools of its own.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_LIB_RUNTIME_OBJC_H
#define ANEMLIR_LIB_RUNTIME_OBJC_H

#include "Failure.h"
#include <initializer_list>
#include <memory>

namespace ane::runtime {

using id = void *;
using Selector = void *;
using SurfaceRef = void *;

class ObjC {
public:
  /// Loads `framework`, or Apple's when it is empty; throws ANE_NO_DEVICE.
  explicit ObjC(const std::string &framework);

  /// A class by name; null where there is none.
  id find(const char *name) const { return getClass(name); }
  Selector sel(const char *name) const { return registerSelector(name); }
  bool responds(id object, Selector selector) const;

  template <typename Result, typename... Args>
  Result send(id object, Selector selector, Args... args) const {
    if (!object)
      return Result();
    auto method = reinterpret_cast<Result (*)(id, Selector, Args...)>(
        implementation(classOf(object), selector));
    return method(object, selector, args...);
  }

  id string(const std::string &text) const;
  id number(int64_t value) const;
  /// Data over memory that outlives it.
  id data(const void *bytes, size_t size) const;
  id array(const id *objects, size_t count) const;
  id dictionary(std::initializer_list<std::pair<id, id>> entries) const;
  id dictionary(const id *keys, const id *values, size_t count) const;
  /// UTF-8 of an NSString, "" of null.
  std::string text(id string) const;
  /// "domain, code N: description" of an NSError, and what engine/runtime.md
  /// §3.7 says.
  std::string describe(id error) const;
  id retain(id object) const;
  void release(id object) const;

  /// A constant of a framework (kIOSurfaceWidth); its own name where the
  /// framework has none.
  id constant(const char *name) const;
  /// Elements of containers; null where `container` is none of that kind.
  id get(id dictionary, id key) const;
  id get(id array, size_t index) const;
  size_t count(id array) const;
  int64_t integer(id number) const;

  /// What IOSurface and CoreFoundation are asked.
  SurfaceRef createSurface(size_t bytes) const;
  void releaseSurface(SurfaceRef surface) const { surfaceRelease(surface); }
  void *surfaceBase(SurfaceRef surface) const { return getBase(surface); }
  size_t surfaceSize(SurfaceRef surface) const { return getSize(surface); }
  void lockSurface(SurfaceRef surface, bool readOnly) const {
    lock(surface, readOnly ? 1 : 0, nullptr);
  }
  void unlockSurface(SurfaceRef surface, bool readOnly) const {
    unlock(surface, readOnly ? 1 : 0, nullptr);
  }

  /// Objects that are made while one lives go with it.
  class Pool {
  public:
    explicit Pool(const ObjC &objc);
    ~Pool();
    Pool(const Pool &) = delete;
    Pool &operator=(const Pool &) = delete;

  private:
    const ObjC &objc;
    void *pool;
  };

private:
  template <typename Fn>
  void bind(Fn &function, const char *name, bool required = true);
  void *symbol(const char *name) const;
  id classOf(id object) const {
    return objectClass ? objectClass(object) : *static_cast<id *>(object);
  }

  std::string library;
  void *handles[5] = {};
  id (*getClass)(const char *) = nullptr;
  Selector (*registerSelector)(const char *) = nullptr;
  void (*(*implementation)(id, Selector))() = nullptr;
  id (*objectClass)(id) = nullptr;
  void *(*poolPush)() = nullptr;
  void (*poolPop)(void *) = nullptr;
  SurfaceRef (*surfaceCreate)(id) = nullptr;
  void (*surfaceRelease)(SurfaceRef) = nullptr;
  void *(*getBase)(SurfaceRef) = nullptr;
  size_t (*getSize)(SurfaceRef) = nullptr;
  int32_t (*lock)(SurfaceRef, uint32_t, uint32_t *) = nullptr;
  int32_t (*unlock)(SurfaceRef, uint32_t, uint32_t *) = nullptr;
  Selector respondsSelector, retainSelector, releaseSelector;
};

/// An object that is released with it.
class Retained {
public:
  Retained() = default;
  /// Takes over a retained object.
  Retained(const ObjC &objc, id object) : objc(&objc), object(object) {}
  Retained(Retained &&other) noexcept : objc(other.objc), object(other.object) {
    other.object = nullptr;
  }
  Retained &operator=(Retained &&other) noexcept {
    std::swap(objc, other.objc);
    std::swap(object, other.object);
    return *this;
  }
  ~Retained() {
    if (object)
      objc->release(object);
  }
  id get() const { return object; }

private:
  const ObjC *objc = nullptr;
  id object = nullptr;
};

} // namespace ane::runtime

#endif // ANEMLIR_LIB_RUNTIME_OBJC_H
