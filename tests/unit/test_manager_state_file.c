/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <kselftest_harness.h>

#include "manager/state_file.h"

FIXTURE(state_file) {
	char dir[64];
	char path[128];
	char aside[160];
};

FIXTURE_SETUP(state_file)
{
	strcpy(self->dir, "/tmp/vio4wd-unit-XXXXXX");
	ASSERT_NE(NULL, mkdtemp(self->dir));
	snprintf(self->path, sizeof(self->path), "%s/state.json", self->dir);
	snprintf(self->aside, sizeof(self->aside), "%s.broken", self->path);
}

FIXTURE_TEARDOWN(state_file)
{
	unlink(self->path);
	unlink(self->aside);
	rmdir(self->dir);
}

struct result {
	sd_event *event;
	uint64_t wanted;
	struct err err;
};

static void saved(uint64_t seq, const struct err *err, void *userdata)
{
	struct result *result = userdata;

	result->err = *err;
	if (seq >= result->wanted)
		sd_event_exit(result->event, 0);
}

static void write_text(const char *path, const char *text)
{
	FILE *f = fopen(path, "we");

	fputs(text, f);
	fclose(f);
}

static json_object *sample(int id)
{
	json_object *state = json_object_new_object();

	json_object_object_add(state, "id", json_object_new_int(id));
	json_object_object_add(state, "device", json_object_new_string("vdev:net_null0"));
	return state;
}

TEST_F(state_file, round_trip) {
	json_object *state, *read = NULL;
	struct result result = { 0 };
	struct state_file *sf;
	struct stat st;
	struct err err;

	ASSERT_EQ(0, sd_event_new(&result.event) < 0);
	ASSERT_EQ(0, state_file_new(&sf, result.event, self->path, saved, &result, &err));
	/* Many at once: the last one counts. */
	for (int i = 0; i < 100; i++) {
		state = sample(i);
		result.wanted = state_file_save(sf, state);
		json_object_put(state);
	}
	EXPECT_EQ(100, result.wanted);
	sd_event_loop(result.event);
	EXPECT_EQ(0, result.err.code);
	EXPECT_EQ(0, state_file_load(self->path, &read, &err));
	state = sample(99);
	EXPECT_TRUE(json_object_equal(state, read));
	EXPECT_EQ(0, stat(self->path, &st));
	EXPECT_EQ(0600, st.st_mode & 07777);
	json_object_put(state);
	json_object_put(read);
	state_file_free(sf);
	sd_event_unref(result.event);
}

TEST_F(state_file, what_waits_is_written_at_the_end) {
	json_object *state = sample(7), *read = NULL;
	struct result result = { 0 };
	struct state_file *sf;
	struct err err;

	ASSERT_EQ(0, sd_event_new(&result.event) < 0);
	ASSERT_EQ(0, state_file_new(&sf, result.event, self->path, saved, &result, &err));
	state_file_save(sf, state);
	state_file_free(sf);
	EXPECT_EQ(0, state_file_load(self->path, &read, &err));
	EXPECT_TRUE(json_object_equal(state, read));
	json_object_put(state);
	json_object_put(read);
	sd_event_unref(result.event);
}

TEST_F(state_file, cannot_be_written) {
	json_object *state = sample(1);
	struct result result = { 0 };
	struct state_file *sf;
	struct err err;

	ASSERT_EQ(0, sd_event_new(&result.event) < 0);
	ASSERT_EQ(0, state_file_new(&sf, result.event, "/proc/vio4wd/state.json", saved, &result,
				    &err));
	result.wanted = state_file_save(sf, state);
	sd_event_loop(result.event);
	EXPECT_GT(0, result.err.code);
	EXPECT_NE(NULL, strstr(result.err.text, "/proc/vio4wd/state.json"));
	json_object_put(state);
	state_file_free(sf);
	sd_event_unref(result.event);
}

TEST_F(state_file, missing) {
	json_object *read = (json_object *)self;
	struct err err;

	EXPECT_EQ(0, state_file_load(self->path, &read, &err));
	EXPECT_EQ(NULL, read);
}

TEST_F(state_file, broken) {
	static const char *const texts[] = {
		"",	     "{\"relays\": [{\"id\": 1", "nonsense", "[1, 2]", "12", "{\"a\": }",
		"{\"a\": 1",
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		json_object *read = NULL;
		struct err err = { 0 };

		write_text(self->path, texts[i]);
		EXPECT_EQ(-EBADMSG, state_file_load(self->path, &read, &err))
		TH_LOG("'%s'", texts[i]);
		EXPECT_EQ(NULL, read);
		EXPECT_NE(NULL, strstr(err.text, self->aside));
		/* Set aside, and the next start is not bothered. */
		EXPECT_EQ(0, access(self->aside, F_OK));
		EXPECT_EQ(0, state_file_load(self->path, &read, &err));
		unlink(self->aside);
	}
}

TEST_F(state_file, is_not_a_file) {
	json_object *read = NULL;
	struct err err = { 0 };

	ASSERT_EQ(0, symlink("/etc/passwd", self->path));
	EXPECT_GT(0, state_file_load(self->path, &read, &err));
	EXPECT_EQ(NULL, read);
}

TEST_HARNESS_MAIN
