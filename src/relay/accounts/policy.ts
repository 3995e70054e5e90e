/** Who gets an address (reference §11). Pure. */
import type { LocalAddress } from "../domains.ts";
import { provesInvite } from "../invites/policy.ts";

/** What the pod has left, where it can be read. */
export interface Resources {
  /** Of the whole machine, for each of its cores. */
  loadPerCore: number | undefined;
  availableMemoryBytes: number | undefined;
  /** What the memory limit allows in all; undefined without one. */
  memoryLimitBytes: number | undefined;
  freeDiskBytes: number | undefined;
}

/** Longest password that is checked, in bytes: hashing takes time in proportion. */
export const maxPasswordBytes = 128;

/** Why no address may be made, as one word; undefined when it may. `invites`: those that count now. Resources are asked separately, after this. */
export function creationRefusal(
  account: LocalAddress,
  password: string,
  invites: readonly string[],
): string | undefined {
  const { limits, local } = account;
  if (limits.registration === "Closed") return "registration";
  if (limits.registration === "Invite" && !provesInvite(password, account.address, invites)) return "invite";
  const characters = [...password].length;
  if (characters < limits.passwordMinLength || Buffer.byteLength(password) > maxPasswordBytes) return "password";
  if (local.length < limits.usernameMinLength || local.length > limits.usernameMaxLength) return "username";
  return undefined;
}

/** A limit of this part of the container's memory counts where the configured one is greater: a small pod could make no account else. */
const memoryShare = 1 / 8;

/** The first resource that is short, in a sentence with figures; undefined when nothing is. What can't be read is left out. */
export function resourceShortage(limits: LocalAddress["limits"]["refuseNew"], seen: Resources): string | undefined {
  const { loadPerCore, availableMemoryBytes, memoryLimitBytes, freeDiskBytes } = seen;
  if (loadPerCore !== undefined && loadPerCore > limits.loadPerCoreAbove) {
    return `load avg per core ${loadPerCore.toFixed(2)} > ${limits.loadPerCoreAbove.toFixed(2)}`;
  }
  const memory = Math.min(limits.memoryBelowBytes, (memoryLimitBytes ?? Number.POSITIVE_INFINITY) * memoryShare);
  if (availableMemoryBytes !== undefined && availableMemoryBytes < memory) {
    return `available memory ${megabytes(availableMemoryBytes)}MB < ${megabytes(memory)}MB`;
  }
  if (freeDiskBytes !== undefined && freeDiskBytes < limits.diskBelowBytes) {
    return `free disk ${megabytes(freeDiskBytes)}MB < ${megabytes(limits.diskBelowBytes)}MB`;
  }
  return undefined;
}

const megabytes = (bytes: number) => Math.floor(bytes / 2 ** 20);
