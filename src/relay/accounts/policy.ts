/** Who gets an address (chatmail protocol §12). Pure. */
import type { LocalAddress } from "../domains.ts";
import { provesInvite } from "../invites/policy.ts";
import type { Shortage } from "./refusals.ts";

/** What the pod has left, where it can be read. */
export interface Resources {
  /** Of the whole machine, for each of its cores. */
  loadPerCore: number | undefined;
  availableMemoryBytes: number | undefined;
  /** What the memory limit allows in all; undefined without one. */
  memoryLimitBytes: number | undefined;
  freeDiskBytes: number | undefined;
  /** Size of the volume. */
  diskBytes: number | undefined;
}

/** Longest password that is checked, in bytes: hashing takes time in proportion. */
export const maxPasswordBytes = 128;

/** A rule that a first login breaks. */
export type CreationRefusal = "registration" | "invite" | "password" | "username";

/**
 * Why no address may be made; undefined when it may. `invites`: those that count now. Resources are
 * asked separately, after this.
 */
export function creationRefusal(
  account: LocalAddress,
  password: string,
  invites: readonly string[],
): CreationRefusal | undefined {
  const { limits, local } = account;
  if (limits.registration === "Closed") return "registration";
  if (limits.registration === "Invite" && !provesInvite(password, account.address, invites)) return "invite";
  const characters = Array.from(password).length;
  if (characters < limits.passwordMinLength || Buffer.byteLength(password) > maxPasswordBytes) return "password";
  if (local.length < limits.usernameMinLength || local.length > limits.usernameMaxLength) return "username";
  return undefined;
}

/**
 * Memory and disk: where this part of all that there is is less than the configured limit, it is
 * the limit. Else a small pod or volume could take nobody.
 */
const share = 1 / 8;

/**
 * After a shortage, addresses are made again once this much more than the limit is free, or the
 * load is as much below its limit.
 */
const recovery = 0.1;

export interface Short {
  resource: Shortage;
  /** A sentence with figures. */
  why: string;
}

/**
 * The first resource that is short; undefined when none is. What can't be read is left out.
 * `before`: what was short the last time, which has to recover by more than the limit, so that the
 * answer does not change with every look.
 */
export function resourceShortage(
  limits: LocalAddress["limits"]["refuseNew"],
  seen: Resources,
  before?: Shortage,
): Short | undefined {
  const { loadPerCore, availableMemoryBytes, memoryLimitBytes, freeDiskBytes, diskBytes } = seen;
  const most = limits.loadPerCoreAbove * (before === "load" ? 1 - recovery : 1);
  if (loadPerCore !== undefined && loadPerCore > most) {
    return { resource: "load", why: `load avg per core ${loadPerCore.toFixed(2)} > ${most.toFixed(2)}` };
  }
  const least = (resource: Shortage, limit: number, all: number | undefined) =>
    Math.min(limit, (all ?? Number.POSITIVE_INFINITY) * share) * (before === resource ? 1 + recovery : 1);
  const memory = least("memory", limits.memoryBelowBytes, memoryLimitBytes);
  if (availableMemoryBytes !== undefined && availableMemoryBytes < memory) {
    return {
      resource: "memory",
      why: `available memory ${megabytes(availableMemoryBytes)}MB < ${megabytes(memory)}MB`,
    };
  }
  const disk = least("disk", limits.diskBelowBytes, diskBytes);
  if (freeDiskBytes !== undefined && freeDiskBytes < disk) {
    return { resource: "disk", why: `free disk ${megabytes(freeDiskBytes)}MB < ${megabytes(disk)}MB` };
  }
  return undefined;
}

const megabytes = (bytes: number) => Math.floor(bytes / 2 ** 20);
