// The gate lists every offender, with limit and source.
// RUN: ane-opt %s --ane-verify-target -verify-diagnostics
// RUN: not ane-opt %s --ane-verify-target 2>/dev/null

module attributes {ane.target = #ane.target<"h16">} {
  // expected-error @below {{boundary type 'tensor<2xi32>' is not legal on h16: expects rank 4, f16 and a width that is a multiple of 32 (L40)}}
  ane.program ane @p(%x: tensor<1x1x1x32xf16>, %i: tensor<2xi32>) -> tensor<1x1x1x32xf16> {
    // expected-error @below {{'ane.gelu' op is not legal on h16: the gelu operation does not compile on RAW (L03, source OR, DE)}}
    %a = ane.gelu %x : (tensor<1x1x1x32xf16>) -> tensor<1x1x1x32xf16>
    // expected-error @below {{'ane.tan' op is not legal on h16: tan, asin, acos, sinh, cosh do not compile (L05, source IM, AF, M5X)}}
    %b = ane.tan %a : (tensor<1x1x1x32xf16>) -> tensor<1x1x1x32xf16>
    ane.return %b : tensor<1x1x1x32xf16>
  }
}
