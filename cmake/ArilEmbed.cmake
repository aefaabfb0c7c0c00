# SPDX-License-Identifier: Apache-2.0
# Writes the files of a folder as a C table, struct page_asset of cmd/arild/admin_pages.h:
#   cmake -DOUT=page.c -DFOLDER=cmd/arild/page -P ArilEmbed.cmake
file(GLOB names RELATIVE "${FOLDER}" "${FOLDER}/*.*")
list(SORT names)
set(arrays "")
set(rows "")
set(number 0)
foreach(name IN LISTS names)
    file(READ "${FOLDER}/${name}" digits HEX)
    string(REGEX REPLACE "(..)" "0x\\1," bytes "${digits}")
    string(REGEX REPLACE "((0x..,)(0x..,)(0x..,)(0x..,)(0x..,)(0x..,)(0x..,)(0x..,))" "\\1\n"
           bytes "${bytes}")
    string(APPEND arrays "static const unsigned char asset_${number}[] = {\n${bytes}\n};\n")
    string(APPEND rows "    { \"/${name}\", asset_${number}, sizeof asset_${number} },\n")
    math(EXPR number "${number} + 1")
endforeach()
file(WRITE "${OUT}" "#include \"admin_pages.h\"\n${arrays}const struct page_asset page_assets[] = {
${rows}};\nconst size_t page_asset_count = ${number};\n")
