//===- Sources.td - where the facts come from ------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// What each source is, in more words and with locators: engine.md §0.3 and engine/open-questions.md §7.4.
//
//===----------------------------------------------------------------------===//

def : ANE_Source<"MX", "maderix/ANE on GitHub and its articles (parts 1 to 4)", "measured on M1, M4; shipped code">;
def : ANE_Source<"DE", "documents of the dev-erik/ANE fork", "measured on M4 Max">;
def : ANE_Source<"OR", "mechramc/Orion, arXiv 2603.06728", "measured on M4 Max">;
def : ANE_Source<"IM", "jafreck/ironmill: more than 60 operations evaluated in memory with a numeric check", "measured on M2 to M4">;
def : ANE_Source<"OM", "jundot/omlx: qwen35_ane.mm", "shipped code, M3 Ultra and M5 Pro">;
def : ANE_Source<"LM", "johnmai-dev/ANE-LM", "shipped code, M1 to M5">;
def : ANE_Source<"FG", "the skyfallsin field guide, built on ANE-LM", "measured on M3 Max">;
def : ANE_Source<"AF", "sbryngelson/ANEForge: a sweep of 166 operations through E5RT", "measured on M5">;
def : ANE_Source<"BR", "Bryngelson guide, arXiv 2606.22283", "measured on M1 to M5, and read from compiler tables">;
def : ANE_Source<"MS", "751K/Apple-Neural-Engine-Microarchitecture-Study-M6", "measured on M4 and M6">;
def : ANE_Source<"M5X", "findings of the q38 engine (public notes)", "measured on M5 Max">;
def : ANE_Source<"H3", "M3 Ultra notes (public)", "measured on M3 Ultra">;
def : ANE_Source<"D4", "DSv4 notes on the MLP (public)", "measured on M5 and M3 Ultra">;
def : ANE_Source<"M4B", "blob limits of M4 on macOS 27 (public note)", "measured on M4">;
def : ANE_Source<"DF", "compiler rules of a DFlash port (public notes)", "one report">;
def : ANE_Source<"HG", "two negative reports of int8 (public notes)", "one report">;
def : ANE_Source<"ES", "christopherkarani/Espresso and issue 44 of hollance", "one report">;
def : ANE_Source<"AI", "thebasedcapital/ane-infer", "measured on M5">;
def : ANE_Source<"TM", "tmc/ane-training-experiments", "measured on M4 Max">;
def : ANE_Source<"CC", "cadamcat/llms-on-apple-neural-engine, through Core ML and Core AI", "measured on M5 Pro">;
def : ANE_Source<"AP", "neural_engine_rules.md of Apple coreai-models", "vendor">;
def : ANE_Source<"AT", "apple/ml-ane-transformers", "vendor">;
def : ANE_Source<"SP", "smpanaro: coreml-llm-cli, more-ane-transformers, data of anemll-bench", "measured on M1 to M4">;
def : ANE_Source<"VB", "alvaro-videla ane-book", "one report">;
def : ANE_Source<"AM", "ask-meridian.uk", "one report">;
def : ANE_Source<"HO", "hollance: neural-engine", "one report">;
def : ANE_Source<"LU", "luengnat/rustane; its refused list came from malformed calls", "of low reliability">;
def : ANE_Source<"MM", "MidasMulli/ane-compiler", "measured on M5 Pro">;
def : ANE_Source<"AN", "Anemll/Anemll", "shipped code, through Core ML">;
def : ANE_Source<"CT", "headers of apple/coremltools", "vendor">;
def : ANE_Source<"PM", "papers of networks for phones: MobileOne, RepViT, SwiftFormer, EfficientFormerV2, each through Core ML on an iPhone 12", "measured on A14">;
