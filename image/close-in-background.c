/*
 * Loaded into Dovecot's imap-hibernate (LD_PRELOAD): it waits for no inotify descriptor to be closed (decision 0060).
 *
 * imap-hibernate is one process for all sessions that are asleep, and has an inotify descriptor for each. When one
 * wakes or ends, its descriptor is closed, and for that the kernel waits until nobody looks at the watches any more:
 * up to 15 ms each, in which no other session is woken, taken in or seen to end. 5,000 clients that leave at once kept
 * it busy for half a minute.
 *
 * Here such a descriptor goes through a pipe to a few threads that wait in its place. Those that wait at the same time
 * wait together, so it is several threads. All other descriptors are closed at once, as ever; and so are these, should
 * pipe or threads be missing.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define THREADS 16

typedef int close_function(int fd);

static close_function *own_close;
static int pipe_ends[2] = { -1, -1 };

/* What is written and read is an int each time, which a pipe does not divide. */
static void *close_what_comes(void *nothing)
{
	int fd;

	while (read(pipe_ends[0], &fd, sizeof(fd)) == (ssize_t)sizeof(fd))
		(void)own_close(fd);
	return nothing;
}

static void start(void)
{
	pthread_attr_t attributes;
	pthread_t thread;
	sigset_t all, before;
	int at, started = 0;

	if (pipe2(pipe_ends, O_CLOEXEC) != 0)
		return;
	/* threads begin with what their maker has blocked: signals are the program's */
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	if (pthread_attr_init(&attributes) == 0) {
		(void)pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
		(void)pthread_attr_setstacksize(&attributes, PTHREAD_STACK_MIN);
		for (at = 0; at < THREADS; at++)
			started += pthread_create(&thread, &attributes, close_what_comes, NULL) == 0;
		(void)pthread_attr_destroy(&attributes);
	}
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (started > 0)
		return;
	for (at = 0; at < 2; at++) {
		(void)own_close(pipe_ends[at]);
		pipe_ends[at] = -1;
	}
}

static int is_inotify(int fd)
{
	static const char wanted[] = "anon_inode:inotify";
	char path[32], found[sizeof(wanted)];
	int errno_before = errno;
	ssize_t length;

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	length = readlink(path, found, sizeof(found));
	errno = errno_before;
	return length == (ssize_t)strlen(wanted) && memcmp(found, wanted, strlen(wanted)) == 0;
}

int close(int fd)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	if (own_close == NULL)
		own_close = (close_function *)dlsym(RTLD_NEXT, "close");
	if (!is_inotify(fd))
		return own_close(fd);
	(void)pthread_once(&once, start);
	if (pipe_ends[1] >= 0 && write(pipe_ends[1], &fd, sizeof(fd)) == (ssize_t)sizeof(fd))
		return 0;
	return own_close(fd);
}
