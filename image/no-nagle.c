/*
 * Loaded into Postfix's master (LD_PRELOAD): its listening sockets send each reply at once.
 *
 * Nagle's algorithm (RFC 896) keeps a small reply back until the one before it is acknowledged, and a client that has
 * nothing to say acknowledges after 40 ms. Delta Chat hands in a mail by MAIL, RCPT and DATA without waiting between
 * them: of the three replies the later ones then wait for it, in half of all mails; and over the network for a round trip more.
 * Dovecot and nginx set TCP_NODELAY themselves; Postfix has no setting for it.
 *
 * Linux hands the option down from a listening socket to the connections that come through it, so it is enough to set
 * it here: Postfix's other programs run as they are. On a socket of another family setsockopt fails, and nothing changes.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <sys/socket.h>

typedef int listen_function(int socket, int backlog);

int listen(int socket, int backlog)
{
	static listen_function *own;
	int on = 1;

	if (own == NULL)
		own = (listen_function *)dlsym(RTLD_NEXT, "listen");
	(void)setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return own(socket, backlog);
}
