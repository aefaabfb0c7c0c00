/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_TESTS_CODEC_CHECKS_H
#define ARIL_TESTS_CODEC_CHECKS_H
/* What tests of the formats of keyrings and fleets ask of every codec. A failure ends the running
 * cmocka test. */
#include "codecs.h"
#include "fixture.h"

/* The status of the parser, after codec_problem() found nothing. */
aril_status codec_status(enum codec c, const uint8_t *bytes, size_t len);

/* Each over all samples of the codecs from first to last; one of them at least. */
void samples_are_read_and_written(enum codec first, enum codec last);
void every_truncation_is_truncated(enum codec first, enum codec last);
void every_appended_byte_is_too_long(enum codec first, enum codec last);
/* Each bit, and all bits, of each byte. */
void every_changed_byte_is_refused_or_canonical(enum codec first, enum codec last);
void writers_stay_in_their_buffers(enum codec first, enum codec last);

/* The sample with `bytes` bytes at an offset replaced by a number; what the parser says. */
aril_status with_number(const struct sample *s, size_t at, size_t bytes, uint64_t value);
/* The same with the vector at an offset made longer (by 'x') or shorter. */
aril_status with_vector_length(const struct sample *s, size_t at, size_t len);
/* With another vector in its place. */
aril_status with_vector(const struct sample *s, size_t at, aril_bytes value);
/* Its offset behind the vector at an offset. */
size_t behind_vector(const struct sample *s, size_t at);

/* The sample parsed; its spans point into it. */
union codec_value sample_value(const struct sample *s);
/* The writer answers RANGE, also for a buffer of no bytes, and leaves all outputs alone. */
void assert_not_written(enum codec c, const union codec_value *v);
#endif
