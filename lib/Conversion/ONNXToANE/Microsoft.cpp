#include "Lowering.h"
using namespace mlir;
using namespace mlir::ane;
void mlir::ane::addMicrosoftHandlers(HandlerTable &t) {}
