/**
 * CPU, memory and disk of each container where the spec does not say. Measured: decision 0023.
 * Pure.
 */
import type { ChatmailServerSpec } from "../api/chatmail-server.ts";
import { bytesOf, mebibytes } from "../api/quantity.ts";
import type { RelayContainerName } from "./containers.ts";

export interface ContainerResources {
  requests: { cpu: string; memory: string };
  /** No limit for CPU: it would slow a relay down beside idle processors. */
  limits: { memory: string };
}

type Spec = Pick<ChatmailServerSpec, "network" | "messages">;

/** Of an IMAP process and of an smtpd with its share of cleanup, rounded up. */
const sessionMib = 3;

/**
 * Requests are what a container takes while it is idle. Limits follow from the number of sessions
 * that the spec allows, so that the limit for sessions, which refuses a client, comes before the
 * one for memory, which ends all of them.
 */
export function builtInResources({
  network: { connections },
}: Pick<Spec, "network">): Record<RelayContainerName | "prepare" | "expire" | "backup", ContainerResources> {
  const of = (cpu: string, requestMib: number, limitMib: number): ContainerResources => ({
    requests: { cpu, memory: mebibytes(requestMib) },
    limits: { memory: mebibytes(limitMib) },
  });
  return {
    relay: of("25m", 96, 1024),
    dovecot: of("25m", 64, 512 + sessionMib * connections.imap),
    // submission on 587, and on 465 and 443 together; the rest is mail from and to other servers
    postfix: of("25m", 32, 1536 + sessionMib * 2 * connections.submission),
    // 0.8 KiB for each IMAP session that there may be. For each that there is, 40 with its TLS
    // (decision 0060), and 26 more behind a load balancer (decision 0018)
    web: of("10m", 16 + Math.ceil(connections.imap / 1000), 1024 + Math.ceil(connections.imap / 15)),
    turn: of("10m", 16, 256),
    prepare: of("10m", 16, 64),
    expire: of("10m", 64, 512),
    // two parts of an upload of 16 MiB each, as they are filled and as they are sent
    backup: of("10m", 96, 512),
  };
}

/** In bytes: the next power of two. A small edit of the largest message leaves the pod as it is. */
const roomFor = (maxSize: string) => 2 ** Math.ceil(Math.log2(bytesOf(maxSize)));

/**
 * Files of a program that are gone when it has done with them: one message for each of a hundred
 * that are taken in at the same time.
 */
const messagesAtOnce = 100;

/**
 * Of the emptyDirs of a pod. One that outgrows its limit costs the pod its place on the node, so
 * none is near what honest use needs.
 */
export function scratchLimit(name: string, { messages }: Pick<Spec, "messages">): string {
  const holdsMessages = name === "dovecot-tmp";
  return mebibytes(holdsMessages ? Math.ceil((messagesAtOnce * roomFor(messages.maxSize)) / 2 ** 20) : 64);
}

/** Sockets, pipes and the served key. */
export const runLimit = mebibytes(16);
/** Nothing is in it. */
export const emptyLimit = mebibytes(1);
