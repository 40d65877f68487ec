# cmake -DINPUT=page.html -DOUTPUT=FILE -P BundlePage.cmake: one page of its parts. A line `<!-- include FILE -->` stands for
# that file beside the page.
get_filename_component(folder "${INPUT}" DIRECTORY)
file(READ "${INPUT}" page)
while(page MATCHES "<!-- include ([A-Za-z0-9_./-]+) -->")
  set(name "${CMAKE_MATCH_1}")
  file(READ "${folder}/${name}" part)
  # The map of a minified library is not beside the page, and browsers would look for it.
  string(REGEX REPLACE "//# sourceMappingURL=[^\n]*\n?" "" part "${part}")
  string(REPLACE "<!-- include ${name} -->" "${part}" page "${page}")
endwhile()
file(WRITE "${OUTPUT}" "${page}")
