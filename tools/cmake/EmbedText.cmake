# cmake -DINPUT=FILE -DOUTPUT=FILE -P EmbedText.cmake: the text as pieces of a C++ raw string literal.
file(READ "${INPUT}" text)
string(LENGTH "${text}" length)
set(pieces "")
set(at 0)
# One literal may hold 65,535 characters everywhere; shorter pieces are safe.
while(at LESS length)
  string(SUBSTRING "${text}" ${at} 8000 piece)
  string(APPEND pieces "R\"TEXT(${piece})TEXT\"\n")
  math(EXPR at "${at} + 8000")
endwhile()
file(WRITE "${OUTPUT}" "${pieces}")
