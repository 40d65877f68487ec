//===- ObjC.cpp - Objective-C without its headers -------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ObjC.h"
#include <cstring>
#include <dlfcn.h>
#include <vector>

using namespace ane::runtime;

static constexpr const char *kFramework =
    "/System/Library/PrivateFrameworks/AppleNeuralEngine.framework/"
    "AppleNeuralEngine";
static constexpr const char *kCompanions[] = {
    "/usr/lib/libobjc.A.dylib",
    "/System/Library/Frameworks/Foundation.framework/Foundation",
    "/System/Library/Frameworks/CoreFoundation.framework/CoreFoundation",
    "/System/Library/Frameworks/IOSurface.framework/IOSurface"};

ObjC::ObjC(const std::string &framework)
    : library(framework.empty() ? kFramework : framework) {
  handles[0] = dlopen(library.c_str(), RTLD_NOW | RTLD_GLOBAL);
  if (!handles[0]) {
    const char *why = dlerror();
    fail(ANE_NO_DEVICE,
         framework.empty()
             ? "there is no Neural Engine framework on this system; run the "
               "bundle in the interpreter, or name a stand-in in "
               "ANE_RUNTIME_FRAMEWORK"
             : "'" + framework + "' cannot be loaded: " + (why ? why : ""));
  }
  if (framework.empty())
    for (size_t i = 0; i < std::size(kCompanions); ++i)
      handles[i + 1] = dlopen(kCompanions[i], RTLD_NOW | RTLD_GLOBAL);
  bind(getClass, "objc_getClass");
  bind(registerSelector, "sel_registerName");
  bind(implementation, "class_getMethodImplementation");
  bind(objectClass, "object_getClass", false);
  bind(poolPush, "objc_autoreleasePoolPush", false);
  bind(poolPop, "objc_autoreleasePoolPop", false);
  bind(surfaceCreate, "IOSurfaceCreate");
  bind(surfaceRelease, "CFRelease");
  bind(getBase, "IOSurfaceGetBaseAddress");
  bind(getSize, "IOSurfaceGetAllocSize");
  bind(lock, "IOSurfaceLock");
  bind(unlock, "IOSurfaceUnlock");
  respondsSelector = sel("respondsToSelector:");
  retainSelector = sel("retain");
  releaseSelector = sel("release");
}

void *ObjC::symbol(const char *name) const {
  for (void *handle : handles)
    if (void *found = handle ? dlsym(handle, name) : nullptr)
      return found;
  return dlsym(RTLD_DEFAULT, name);
}

template <typename Fn>
void ObjC::bind(Fn &function, const char *name, bool required) {
  function = reinterpret_cast<Fn>(symbol(name));
  if (!function && required)
    fail(ANE_NO_DEVICE, "'" + library + "' comes without " + name +
                            "; this system's framework is not one that the "
                            "runtime knows");
}

bool ObjC::responds(id object, Selector selector) const {
  return send<unsigned char>(object, respondsSelector, selector);
}

id ObjC::string(const std::string &text) const {
  return send<id>(find("NSString"), sel("stringWithUTF8String:"), text.c_str());
}
id ObjC::number(int64_t value) const {
  return send<id>(find("NSNumber"), sel("numberWithLongLong:"),
                  static_cast<long long>(value));
}
id ObjC::data(const void *bytes, size_t size) const {
  return send<id>(find("NSData"),
                  sel("dataWithBytesNoCopy:length:freeWhenDone:"),
                  const_cast<void *>(bytes), size, static_cast<signed char>(0));
}
id ObjC::array(const id *objects, size_t count) const {
  return send<id>(find("NSArray"), sel("arrayWithObjects:count:"), objects,
                  count);
}
id ObjC::dictionary(const id *keys, const id *values, size_t count) const {
  return send<id>(find("NSDictionary"),
                  sel("dictionaryWithObjects:forKeys:count:"), values, keys,
                  count);
}
id ObjC::dictionary(std::initializer_list<std::pair<id, id>> entries) const {
  std::vector<id> keys, values;
  for (auto &[key, value] : entries) {
    keys.push_back(key);
    values.push_back(value);
  }
  return dictionary(keys.data(), values.data(), keys.size());
}

std::string ObjC::text(id string) const {
  const char *utf8 = send<const char *>(string, sel("UTF8String"));
  return utf8 ? utf8 : "";
}

/// engine/runtime.md §3.7: what stands in an error, and what it means.
static constexpr std::pair<const char *, const char *> kMeanings[] = {
    {"InvalidMILProgram",
     "the compiler does not take the text: an operation or constant in a form "
     "that it does not know, a bad offset, or a staged file that is missing; "
     "mil-verify and ane-check say which rule it breaks"},
    {"HandleANELayer", "an input of rank 1 (L43); write the bundle anew"},
    {"CompilationFailure",
     "the text was read, but an operation is beyond what this engine takes; "
     "ane-check --target=CHIP lists the limits, and --placement moves an "
     "operation to the host"},
    {"ANECCompile",
     "the text was read, but an operation is beyond what this engine takes; "
     "ane-check --target=CHIP lists the limits, and --placement moves an "
     "operation to the host"},
    {"0x50004", "more programs are loaded than the engine holds (L71); close "
                "sessions, or lower resident_limit"},
    {"must re-compile", "more programs are loaded than the engine holds (L71); "
                        "close sessions, or lower resident_limit"},
    {"0x20004", "the weights that are loaded exceed the engine's window of "
                "4 GiB (L73); close sessions, or compress weights"},
    {"0x1d", "a surface is too small, or surfaces are bound in another order "
             "than the program has (L41, L42); write the bundle anew"},
};

std::string ObjC::describe(id error) const {
  if (!error)
    return "no reason was given";
  std::string said = text(send<id>(error, sel("localizedDescription"))),
              result = text(send<id>(error, sel("domain"))) + ", code " +
                       std::to_string(send<long>(error, sel("code"))) + ": " +
                       said;
  for (auto &[part, meaning] : kMeanings)
    if (said.find(part) != std::string::npos)
      return result + ": " + meaning;
  return result;
}

id ObjC::retain(id object) const { return send<id>(object, retainSelector); }
void ObjC::release(id object) const { send<void>(object, releaseSelector); }

id ObjC::constant(const char *name) const {
  void *found = symbol(name);
  return found ? *static_cast<id *>(found) : string(name);
}

id ObjC::get(id dictionary, id key) const {
  Selector selector = sel("objectForKey:");
  return responds(dictionary, selector) ? send<id>(dictionary, selector, key)
                                        : nullptr;
}
id ObjC::get(id array, size_t index) const {
  return index < count(array) ? send<id>(array, sel("objectAtIndex:"), index)
                              : nullptr;
}
size_t ObjC::count(id array) const {
  return responds(array, sel("objectAtIndex:"))
             ? send<size_t>(array, sel("count"))
             : 0;
}
int64_t ObjC::integer(id number) const {
  Selector selector = sel("longLongValue");
  return responds(number, selector) ? send<long long>(number, selector) : 0;
}

SurfaceRef ObjC::createSurface(size_t bytes) const {
  id size = number(int64_t(bytes)), one = number(1);
  return surfaceCreate(
      dictionary({{constant("kIOSurfaceWidth"), size},
                  {constant("kIOSurfaceHeight"), one},
                  {constant("kIOSurfaceBytesPerElement"), one},
                  {constant("kIOSurfaceBytesPerRow"), size},
                  {constant("kIOSurfaceAllocSize"), size},
                  {constant("kIOSurfacePixelFormat"), number(0)}}));
}

ObjC::Pool::Pool(const ObjC &objc)
    : objc(objc), pool(objc.poolPush && objc.poolPop
                           ? objc.poolPush()
                           : objc.send<id>(objc.find("NSAutoreleasePool"),
                                           objc.sel("new"))) {}
ObjC::Pool::~Pool() {
  if (objc.poolPush && objc.poolPop)
    objc.poolPop(pool);
  else
    objc.send<void>(pool, objc.sel("drain"));
}
