/*===- StandIn.m - classes of a framework, without an engine ----------------===*\
 *
 * Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
 *
 * Names and order of calls: engine/runtime.md, section 3.1. What is refused,
 * and how: sections 3.3 to 3.7, engine/weights.md, section 2.3, rules L40 to
 * L78.
 *
\*===----------------------------------------------------------------------===*/

#import "Engine.h"
#import "Faults.h"
#include "lib/Runtime/FactsC.h"
#import <Foundation/Foundation.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static NSError *makeError(NSString *domain, long code, NSString *text) {
  return [NSError errorWithDomain:domain
                             code:code
                         userInfo:[NSDictionary
                                      dictionaryWithObject:text
                                                    forKey:NSLocalizedDescriptionKey]];
}
static BOOL refuse(NSError **error, long code, NSString *text) {
  if (error)
    *error = makeError(@"com.apple.appleneuralengine", code, text);
  return NO;
}
/* Counts a call; NO where it is told to fail. */
static BOOL goesOn(standin_kind kind) {
  standin_fault fault = standin_call(kind);
  if (fault == STANDIN_RAISES)
    [NSException raise:@"StandInFault" format:@"told to by ANE_STANDIN"];
  return fault == STANDIN_GOES_ON;
}

/*===- Surfaces -----------------------------------------------------------===*/

@interface StandInSurface : NSObject {
@public
  void *memory;
  size_t size;
}
@end
@implementation StandInSurface
- (void)dealloc {
  free(memory);
  standin_surface_lives(-1);
  [super dealloc];
}
@end

NSString *const kIOSurfaceWidth = @"IOSurfaceWidth";
NSString *const kIOSurfaceHeight = @"IOSurfaceHeight";
NSString *const kIOSurfaceBytesPerElement = @"IOSurfaceBytesPerElement";
NSString *const kIOSurfaceBytesPerRow = @"IOSurfaceBytesPerRow";
NSString *const kIOSurfaceAllocSize = @"IOSurfaceAllocSize";
NSString *const kIOSurfacePixelFormat = @"IOSurfacePixelFormat";
NSString *const kANEFModelInputSymbolsArrayKey = @"ANEFModelInputSymbolsArray";
NSString *const kANEFModelOutputSymbolsArrayKey = @"ANEFModelOutputSymbolsArray";

void *IOSurfaceCreate(NSDictionary *properties) {
  if (!goesOn(STANDIN_SURFACE))
    return NULL;
  size_t size = (size_t)[[properties objectForKey:kIOSurfaceAllocSize]
      unsignedLongLongValue];
  StandInSurface *surface = [StandInSurface new];
  surface->memory = size ? malloc(size + 8) : NULL; /* L41 may be lifted */
  surface->size = size;
  standin_surface_lives(1);
  if (!surface->memory) {
    [surface release];
    return NULL;
  }
  memset(surface->memory, 0x7e, size); /* what was there before: NaN */
  return surface;
}
void *IOSurfaceGetBaseAddress(StandInSurface *surface) { return surface->memory; }
size_t IOSurfaceGetAllocSize(StandInSurface *surface) { return surface->size; }
int32_t IOSurfaceLock(StandInSurface *surface, uint32_t options, uint32_t *seed) {
  return 0;
}
int32_t IOSurfaceUnlock(StandInSurface *surface, uint32_t options, uint32_t *seed) {
  return 0;
}
void CFRelease(id object) { [object release]; }

@interface _ANEIOSurfaceObject : NSObject {
@public
  StandInSurface *surface;
}
+ (id)objectWithIOSurface:(void *)surface;
@end
@implementation _ANEIOSurfaceObject
+ (id)objectWithIOSurface:(void *)surface {
  if (!surface || !goesOn(STANDIN_OBJECT))
    return nil;
  _ANEIOSurfaceObject *object = [[self new] autorelease];
  object->surface = [(StandInSurface *)surface retain];
  return object;
}
- (void)dealloc {
  [surface release];
  [super dealloc];
}
@end

@interface _ANERequest : NSObject {
@public
  NSArray *inputs, *inputIndices, *outputs, *outputIndices;
  NSNumber *procedure;
}
+ (id)requestWithInputs:(NSArray *)inputs
           inputIndices:(NSArray *)inputIndices
                outputs:(NSArray *)outputs
          outputIndices:(NSArray *)outputIndices
          weightsBuffer:(id)weights
              perfStats:(id)statistics
         procedureIndex:(NSNumber *)procedure;
@end
@implementation _ANERequest
+ (id)requestWithInputs:(NSArray *)inputs
           inputIndices:(NSArray *)inputIndices
                outputs:(NSArray *)outputs
          outputIndices:(NSArray *)outputIndices
          weightsBuffer:(id)weights
              perfStats:(id)statistics
         procedureIndex:(NSNumber *)procedure {
  if (!goesOn(STANDIN_REQUEST))
    return nil;
  _ANERequest *request = [[self new] autorelease];
  request->inputs = [inputs retain];
  request->inputIndices = [inputIndices retain];
  request->outputs = [outputs retain];
  request->outputIndices = [outputIndices retain];
  request->procedure = [procedure retain];
  return request;
}
- (void)dealloc {
  [inputs release];
  [inputIndices release];
  [outputs release];
  [outputIndices release];
  [procedure release];
  [super dealloc];
}
@end

/*===- Descriptors --------------------------------------------------------===*/

@interface _ANEInMemoryModelDescriptor : NSObject {
@public
  NSData *text;
  NSDictionary *weights;
}
+ (id)modelWithMILText:(NSData *)text
               weights:(NSDictionary *)weights
          optionsPlist:(NSData *)options;
@end
@implementation _ANEInMemoryModelDescriptor
+ (id)modelWithMILText:(NSData *)text
               weights:(NSDictionary *)weights
          optionsPlist:(NSData *)options {
  if (!goesOn(STANDIN_DESCRIPTOR))
    return nil;
  if (![text isKindOfClass:[NSData class]])
    [NSException raise:NSInvalidArgumentException
                format:@"-[%@ bytes]: unrecognized selector: the text of a "
                       @"program is NSData of UTF-8 (engine/runtime.md 3.1)",
                       [text class]];
  if (!weights) {
    fprintf(stderr, "ane-standin: the weights of a program are nil; without "
                    "weights they are an empty dictionary "
                    "(engine/weights.md 2.2)\n");
    abort();
  }
  _ANEInMemoryModelDescriptor *descriptor = [[self new] autorelease];
  descriptor->text = [text retain];
  descriptor->weights = [weights retain];
  return descriptor;
}
- (void)dealloc {
  [text release];
  [weights release];
  [super dealloc];
}
@end

/*===- Models -------------------------------------------------------------===*/

/* Programs that were compiled, by their sums: identical text is one (L76). */
static NSMutableDictionary *compiled;
/* When a compilation failed last, and under which settings. */
static NSTimeInterval failedAt;
static unsigned failedUnder;
static pthread_mutex_t service = PTHREAD_MUTEX_INITIALIZER;

@interface _ANEInMemoryModel : NSObject {
  _ANEInMemoryModelDescriptor *descriptor;
  NSString *identifier, *folder;
  standin_program *program;
  BOOL loaded, loadedBefore;
}
+ (id)inMemoryModelWithDescriptor:(_ANEInMemoryModelDescriptor *)descriptor;
- (NSString *)hexStringIdentifier;
- (BOOL)compiledModelExists;
- (BOOL)compileWithQoS:(unsigned)qos options:(NSDictionary *)options error:(NSError **)error;
- (BOOL)loadWithQoS:(unsigned)qos options:(NSDictionary *)options error:(NSError **)error;
- (BOOL)unloadWithQoS:(unsigned)qos error:(NSError **)error;
- (BOOL)evaluateWithQoS:(unsigned)qos
                options:(NSDictionary *)options
                request:(_ANERequest *)request
                  error:(NSError **)error;
- (NSDictionary *)modelAttributes;
- (void)setModelURL:(NSURL *)url;
- (NSString *)localModelPath;
@end

@interface NSString (StandIn)
- (NSComparisonResult)standInCompareBytes:(NSString *)other;
@end
@implementation NSString (StandIn)
- (NSComparisonResult)standInCompareBytes:(NSString *)other {
  int order = strcmp([self UTF8String], [other UTF8String]);
  return order < 0 ? NSOrderedAscending : order ? NSOrderedDescending : NSOrderedSame;
}
@end

static NSString *hash(NSData *data) {
  char digits[65];
  standin_hash([data bytes], [data length], digits);
  return [NSString stringWithUTF8String:digits];
}

/* Positions of parameters in byte-wise order of their symbols; outputs compare
 * with their suffix (engine/runtime.md 3.4). */
static NSArray *sortedSymbols(standin_program *program, BOOL isInput) {
  NSMutableArray *symbols = [NSMutableArray array];
  size_t count = isInput ? standin_input_count(program) : standin_output_count(program);
  for (size_t i = 0; i < count; ++i)
    [symbols addObject:[NSString stringWithFormat:isInput ? @"%s" : @"%s@output",
                                                  (isInput ? standin_input(program, i)
                                                           : standin_output(program, i))
                                                      ->symbol]];
  if (standin_is_lifted("L42"))
    return symbols;
  return [symbols sortedArrayUsingSelector:@selector(standInCompareBytes:)];
}
static const standin_parameter *findParameter(standin_program *program, BOOL isInput,
                                              NSString *symbol, size_t *position) {
  size_t count = isInput ? standin_input_count(program) : standin_output_count(program);
  for (size_t i = 0; i < count; ++i) {
    const standin_parameter *parameter =
        isInput ? standin_input(program, i) : standin_output(program, i);
    NSString *own = [NSString stringWithFormat:isInput ? @"%s" : @"%s@output",
                                               parameter->symbol];
    if ([own isEqualToString:symbol]) {
      *position = i;
      return parameter;
    }
  }
  return NULL;
}

@implementation _ANEInMemoryModel
+ (void)initialize {
  if (!compiled)
    compiled = [NSMutableDictionary new];
}

+ (id)inMemoryModelWithDescriptor:(_ANEInMemoryModelDescriptor *)descriptor {
  if (!descriptor || !goesOn(STANDIN_MODEL))
    return nil;
  _ANEInMemoryModel *model = [[self new] autorelease];
  model->descriptor = [descriptor retain];
  NSMutableData *all = [NSMutableData data];
  for (NSString *key in
       [[descriptor->weights allKeys] sortedArrayUsingSelector:@selector(standInCompareBytes:)]) {
    NSDictionary *entry = [descriptor->weights objectForKey:key];
    [all appendData:[key dataUsingEncoding:NSUTF8StringEncoding]];
    [all appendData:[hash([entry objectForKey:@"data"])
                        dataUsingEncoding:NSUTF8StringEncoding]];
  }
  model->identifier =
      [[NSString alloc] initWithFormat:@"%@_%@_%@", hash(descriptor->text), hash(all),
                                       hash([NSData data])];
  model->folder = [[NSTemporaryDirectory()
      stringByAppendingPathComponent:model->identifier] retain];
  return model;
}

- (void)dealloc {
  if (loaded)
    standin_program_lives(-1);
  [descriptor release];
  [identifier release];
  [folder release];
  [super dealloc];
}

- (BOOL)respondsToSelector:(SEL)selector {
  return !(sel_isEqual(selector, @selector(setModelURL:)) &&
           standin_settings_now()->no_url) &&
         [super respondsToSelector:selector];
}

- (NSString *)hexStringIdentifier {
  return identifier;
}
- (void)setModelURL:(NSURL *)url {
  [folder release];
  folder = [[url path] retain];
}
- (NSString *)localModelPath {
  return folder;
}

- (BOOL)compiledModelExists {
  pthread_mutex_lock(&service);
  BOOL exists = !standin_settings_now()->no_cache && [compiled objectForKey:identifier];
  pthread_mutex_unlock(&service);
  return exists;
}

/* Nil, or why what is staged is not what the descriptor holds. */
- (NSString *)checkStaged {
  NSString *file = [folder stringByAppendingPathComponent:@"model.mil"];
  if (![[NSData dataWithContentsOfFile:file] isEqualToData:descriptor->text])
    return @"InvalidMILProgram: model.mil is not staged";
  if ([descriptor->weights count] > ANE_FACT_weightFileLimit && !standin_is_lifted("L72"))
    return @"CompilationFailure: more than 16 weight files (L72)";
  for (NSString *key in descriptor->weights) {
    NSDictionary *entry = [descriptor->weights objectForKey:key];
    if ([[entry objectForKey:@"offset"] longLongValue] != ANE_FACT_weightOffset)
      return @"InvalidMILProgram: the offset of a weight file is not 0";
    NSRange slash = [key rangeOfString:@"/"];
    NSString *relative = slash.length ? [key substringFromIndex:slash.location + 1] : key;
    NSString *place = [folder stringByAppendingPathComponent:relative];
    if (![[NSData dataWithContentsOfFile:place] isEqualToData:[entry objectForKey:@"data"]])
      return [NSString stringWithFormat:@"InvalidMILProgram: %@ is not staged", relative];
  }
  return nil;
}

/* Under the service's mutex. */
- (BOOL)compileLocked:(NSError **)error {
  const standin_settings *settings = standin_settings_now();
  ane_standin_counts counts;
  ane_standin_get_counts(&counts);
  if (settings->compiles > 0 && counts.compiles > (uint64_t)settings->compiles)
    return refuse(error, 1, @"CompilationFailure: too many compilations in this process (L70)");
  NSString *missing = [self checkStaged];
  if (missing)
    return refuse(error, 1, missing);
  char words[2048] = "";
  long code = 1;
  standin_program *made = standin_compile([folder fileSystemRepresentation],
                                          settings->target,
                                          !settings->no_rules, standin_is_lifted,
                                          settings->enforced, &code, words, sizeof words);
  if (!made)
    return refuse(error, code, [NSString stringWithUTF8String:words]);
  [compiled setObject:[NSValue valueWithPointer:made] forKey:identifier];
  return YES;
}

- (BOOL)compileWithQoS:(unsigned)qos options:(NSDictionary *)options error:(NSError **)error {
  BOOL fine = goesOn(STANDIN_COMPILE);
  pthread_mutex_lock(&service);
  /* A failed compilation restarts the service: the next waits (L74). */
  NSTimeInterval ready = failedAt + standin_settings_now()->stall_ms / 1e3,
                 now = [NSDate timeIntervalSinceReferenceDate];
  if (failedAt && now < ready && failedUnder == standin_settings_now()->generation)
    usleep((useconds_t)((ready - now) * 1e6));
  BOOL done = fine ? [self compileLocked:error]
                   : refuse(error, 1, @"CompilationFailure: told to by ANE_STANDIN");
  failedAt = done ? 0 : [NSDate timeIntervalSinceReferenceDate];
  failedUnder = standin_settings_now()->generation;
  pthread_mutex_unlock(&service);
  return done;
}

- (BOOL)loadWithQoS:(unsigned)qos options:(NSDictionary *)options error:(NSError **)error {
  const standin_settings *settings = standin_settings_now();
  if (!goesOn(STANDIN_LOAD))
    return refuse(error, 2, @"Program load failure: told to by ANE_STANDIN");
  BOOL again = loadedBefore;
  loadedBefore = YES;
  if (settings->first_load && !again)
    return refuse(error, 2, @"Program load failure (0x20001): try again");
  if (loaded)
    return YES;
  pthread_mutex_lock(&service);
  NSValue *found = [compiled objectForKey:identifier];
  NSString *missing = [self checkStaged];
  program = [found pointerValue];
  pthread_mutex_unlock(&service);
  if (!program || missing)
    return refuse(error, 2, missing ? missing : @"Program load failure: it is not compiled");
  if (standin_live_programs() >= (uint64_t)settings->resident)
    return refuse(error, 2, @"Program load failure (0x50004)");
  loaded = YES;
  standin_program_lives(1);
  return YES;
}

/* Removes what was staged, as the framework does (engine/runtime.md 3.2). */
- (BOOL)unloadWithQoS:(unsigned)qos error:(NSError **)error {
  if (!goesOn(STANDIN_UNLOAD))
    return refuse(error, 3, @"Program unload failure: told to by ANE_STANDIN");
  if (!loaded)
    return refuse(error, 3, @"Program unload failure: it is not loaded");
  loaded = NO;
  standin_program_lives(-1);
  [[NSFileManager defaultManager] removeItemAtPath:folder error:NULL];
  return YES;
}

- (NSDictionary *)describe:(BOOL)isInput symbol:(NSString *)symbol {
  size_t position;
  const standin_parameter *parameter = findParameter(program, isInput, symbol, &position);
#define NUMBER(x) [NSNumber numberWithUnsignedLongLong:(unsigned long long)(x)]
  return [NSDictionary
      dictionaryWithObjectsAndKeys:symbol, @"Name", NUMBER(parameter->shape[0]), @"Batches",
                                   NUMBER(parameter->shape[1]), @"Channels", NUMBER(1), @"Depth",
                                   NUMBER(parameter->shape[2]), @"Height",
                                   NUMBER(parameter->shape[3]), @"Width",
                                   NUMBER(parameter->batch_stride), @"BatchStride",
                                   NUMBER(parameter->plane_stride), @"PlaneStride",
                                   NUMBER(parameter->row_stride), @"RowStride", @"Float16",
                                   @"Type", nil];
}

- (NSDictionary *)modelAttributes {
  if (!loaded)
    return nil;
  NSMutableDictionary *lists = [NSMutableDictionary dictionary],
                      *procedure = [NSMutableDictionary dictionary],
                      *model = [NSMutableDictionary dictionary];
  for (int isInput = 0; isInput < 2; ++isInput) {
    NSArray *symbols = sortedSymbols(program, isInput);
    NSMutableArray *indices = [NSMutableArray array], *live = [NSMutableArray array];
    for (NSUInteger i = 0; i < [symbols count]; ++i) {
      [indices addObject:[NSNumber numberWithUnsignedInteger:i]];
      [live addObject:[self describe:isInput symbol:[symbols objectAtIndex:i]]];
    }
    [model setObject:symbols
              forKey:isInput ? kANEFModelInputSymbolsArrayKey : kANEFModelOutputSymbolsArrayKey];
    [procedure setObject:indices
                  forKey:isInput ? @"ANEFModelInputSymbolIndexArray"
                                 : @"ANEFModelOutputSymbolIndexArray"];
    [lists setObject:live forKey:isInput ? @"LiveInputList" : @"LiveOutputList"];
  }
  [procedure setObject:[NSNumber numberWithInt:0] forKey:@"ANEFModelProcedureID"];
  [model setObject:[NSArray arrayWithObject:procedure] forKey:@"ANEFModelProcedures"];
  return [NSDictionary dictionaryWithObjectsAndKeys:model, @"ANEFModelDescription",
                                                    [NSArray arrayWithObject:lists],
                                                    @"NetworkStatusList", nil];
}

/* Surfaces by position in the order of symbols; NO where one does not fit. */
- (BOOL)bind:(NSArray *)objects
     indices:(NSArray *)indices
     isInput:(BOOL)isInput
          to:(void **)memory {
  NSArray *symbols = sortedSymbols(program, isInput);
  if ([objects count] != [symbols count] || [indices count] != [symbols count])
    return NO;
  for (NSUInteger i = 0; i < [symbols count]; ++i) {
    NSUInteger index = [[indices objectAtIndex:i] unsignedIntegerValue];
    if (index >= [symbols count])
      return NO;
    size_t position;
    const standin_parameter *parameter =
        findParameter(program, isInput, [symbols objectAtIndex:index], &position);
    _ANEIOSurfaceObject *object = [objects objectAtIndex:i];
    if (object->surface->size + (standin_is_lifted("L41") ? 1 : 0) < parameter->required)
      return NO;
    memory[position] = object->surface->memory;
  }
  return YES;
}

/* Rows of less than 64 bytes: what is read is not what was written (L40). */
static void scramble(const standin_parameter *parameter, void *memory) {
  if (parameter->shape[3] % ANE_FACT_rowMultiple == 0 || standin_is_lifted("L40"))
    return;
  uint32_t state = 12345;
  uint16_t *halves = memory;
  for (uint64_t i = 0; i < parameter->required / 2; ++i)
    halves[i] = (uint16_t)((state = state * 1664525 + 1013904223) >> 18);
}

- (BOOL)run:(void **)in outputs:(void **)out error:(NSError **)error {
  char words[1024] = "";
  BOOL garbage = NO;
  for (size_t i = 0; i < standin_input_count(program); ++i)
    garbage |= standin_input(program, i)->shape[3] % ANE_FACT_rowMultiple != 0;
  if (standin_run(program, (const void *const *)in, out, words, sizeof words))
    return refuse(error, 4, [NSString stringWithUTF8String:words]);
  for (size_t i = 0; i < standin_output_count(program); ++i) {
    standin_parameter parameter = *standin_output(program, i);
    if (garbage)
      parameter.shape[3] = 1;
    scramble(&parameter, out[i]);
  }
  return YES;
}

- (BOOL)evaluateWithQoS:(unsigned)qos
                options:(NSDictionary *)options
                request:(_ANERequest *)request
                  error:(NSError **)error {
  if (!loaded)
    return refuse(error, 4, @"Program Inference error: the program is not loaded");
  if (!goesOn(STANDIN_EVALUATE))
    return refuse(error, 4, @"Program Inference error: told to by ANE_STANDIN");
  void *in[512], *out[512];
  if (standin_settings_now()->no_engine) {
    standin_enter();
    standin_leave();
    return YES;
  }
  if ([request->procedure intValue] != 0 || standin_input_count(program) > 512 ||
      standin_output_count(program) > 512 ||
      ![self bind:request->inputs indices:request->inputIndices isInput:YES to:in] ||
      ![self bind:request->outputs indices:request->outputIndices isInput:NO to:out])
    return refuse(error, 0x1d, @"Program Inference error: status=0x1d statusType=0x9");
  standin_enter();
  BOOL done = [self run:in outputs:out error:error];
  /* Behind the last row nothing is promised: NaN. */
  for (NSUInteger i = 0; done && i < [request->outputs count]; ++i) {
    StandInSurface *surface =
        ((_ANEIOSurfaceObject *)[request->outputs objectAtIndex:i])->surface;
    for (size_t p = 0; p < standin_output_count(program); ++p) {
      const standin_parameter *parameter = standin_output(program, p);
      uint64_t used = (uint64_t)parameter->shape[0] * parameter->batch_stride;
      if (out[p] == surface->memory && used < surface->size)
        memset((char *)surface->memory + used, 0x7e, surface->size - used);
    }
  }
  standin_leave();
  if (done && !loaded)
    return refuse(error, 4, @"Program Inference error: the program was unloaded meanwhile");
  return done;
}
@end
