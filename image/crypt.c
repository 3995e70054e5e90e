/*
 * A Node-API addon: crypt(3) of Debian's libxcrypt, on node's own thread pool.
 *
 *	crypt(password: Buffer, setting: string): Promise<string | undefined>
 *
 * Undefined where libxcrypt takes none of it (decision 0054; src/relay/accounts/hashing.ts then computes the hash in
 * JavaScript). What was read of the password is overwritten before its memory is given back.
 */
#define NAPI_VERSION 8
#define _GNU_SOURCE
#include <crypt.h>
#include <node_api.h>
#include <stdlib.h>
#include <string.h>

#define SETTING_BYTES 128

struct job {
	napi_async_work work;
	napi_deferred deferred;
	size_t password_bytes;
	char *password;
	char setting[SETTING_BYTES];
	char result[CRYPT_OUTPUT_SIZE];
};

static void free_job(struct job *job)
{
	if (job->password != NULL) {
		explicit_bzero(job->password, job->password_bytes);
		free(job->password);
	}
	free(job);
}

/* On a thread of the pool: no call of node's from here. */
static void compute(napi_env env, void *data)
{
	struct job *job = data;
	struct crypt_data *scratch = calloc(1, sizeof(*scratch));
	const char *result;

	(void)env;
	if (scratch == NULL)
		return;
	result = crypt_rn(job->password, job->setting, scratch, sizeof(*scratch));
	if (result != NULL && strlen(result) < sizeof(job->result))
		strcpy(job->result, result);
	explicit_bzero(scratch, sizeof(*scratch));
	free(scratch);
}

static void finish(napi_env env, napi_status status, void *data)
{
	struct job *job = data;
	napi_value value = NULL;

	napi_delete_async_work(env, job->work);
	if (status != napi_ok || job->result[0] == '\0' ||
	    napi_create_string_utf8(env, job->result, NAPI_AUTO_LENGTH, &value) != napi_ok)
		napi_get_undefined(env, &value);
	napi_resolve_deferred(env, job->deferred, value);
	free_job(job);
}

static napi_value refuse(napi_env env, struct job *job, const char *why)
{
	if (job != NULL)
		free_job(job);
	napi_throw_error(env, NULL, why);
	return NULL;
}

static napi_value start(napi_env env, napi_callback_info info)
{
	size_t count = 2, bytes;
	napi_value args[2], name, promise;
	void *password;
	struct job *job = calloc(1, sizeof(*job));

	if (job == NULL)
		return refuse(env, job, "no memory for a password hash");
	if (napi_get_cb_info(env, info, &count, args, NULL, NULL) != napi_ok || count != 2 ||
	    napi_get_buffer_info(env, args[0], &password, &job->password_bytes) != napi_ok ||
	    napi_get_value_string_utf8(env, args[1], NULL, 0, &bytes) != napi_ok || bytes >= sizeof(job->setting) ||
	    napi_get_value_string_utf8(env, args[1], job->setting, sizeof(job->setting), &bytes) != napi_ok)
		return refuse(env, job, "crypt takes a Buffer and a setting");
	job->password = calloc(1, job->password_bytes + 1);
	if (job->password == NULL)
		return refuse(env, job, "no memory for a password hash");
	if (job->password_bytes > 0)
		memcpy(job->password, password, job->password_bytes);
	if (napi_create_string_utf8(env, "crypt", NAPI_AUTO_LENGTH, &name) != napi_ok ||
	    napi_create_async_work(env, NULL, name, compute, finish, job, &job->work) != napi_ok)
		return refuse(env, job, "no work could be made for a password hash");
	if (napi_create_promise(env, &job->deferred, &promise) != napi_ok ||
	    napi_queue_async_work(env, job->work) != napi_ok) {
		napi_delete_async_work(env, job->work);
		return refuse(env, job, "a password hash could not be started");
	}
	return promise;
}

NAPI_MODULE_INIT()
{
	napi_value function;

	if (napi_create_function(env, "crypt", NAPI_AUTO_LENGTH, start, NULL, &function) != napi_ok ||
	    napi_set_named_property(env, exports, "crypt", function) != napi_ok)
		return NULL;
	return exports;
}
