/**
 * Programs for another processor: the kernel starts them with QEMU's emulator. Slow (ten times and
 * more), and enough to build an image.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { refuse } from "../../scripts/options.ts";
import { needPackages } from "./packages.ts";
import { isRoot } from "./place.ts";
import { LabError, run } from "./run.ts";

/** As Debian, Docker and Node name a processor. */
export const architectures = {
  amd64: { node: "x64", machine: 62, qemu: "x86_64" },
  arm64: { node: "arm64", machine: 183, qemu: "aarch64" },
} as const;
export type Architecture = keyof typeof architectures;

/** By its name, in an option of a command. */
export const architectureOf = (name: string, usage: string): Architecture =>
  (Object.keys(architectures) as Architecture[]).find((known) => known === name) ??
  refuse(`no platform is called ${name}: ${Object.keys(architectures).join(", ")}`, usage);

export const ownArchitecture = (): Architecture | undefined =>
  (Object.keys(architectures) as Architecture[]).find((name) => architectures[name].node === process.arch);

const folder = "/proc/sys/fs/binfmt_misc";

/** Runs this while programs for the processor can be started; then the kernel is as it was. */
export async function withEmulation<T>(architecture: Architecture, work: () => Promise<T>): Promise<T> {
  const { qemu, machine } = architectures[architecture];
  // elsewhere Docker has a Linux of its own, which brings an emulator
  if (architecture === ownArchitecture() || process.platform !== "linux") return work();
  if (isEmulated(qemu)) return work();
  if (!isRoot) throw new LabError(`programs for ${architecture} need QEMU's emulator, and root to tell the kernel`);
  await needPackages(["qemu-user-static"]);
  if (!existsSync(`${folder}/register`)) await run(["mount", "-t", "binfmt_misc", "binfmt_misc", folder]);
  if (isEmulated(qemu)) return work(); // the package has done it
  const name = `chatmail-${qemu}`;
  if (!existsSync(`${folder}/${name}`)) writeFileSync(`${folder}/register`, registration(name, qemu, machine));
  try {
    return await work();
  } finally {
    if (existsSync(`${folder}/${name}`)) writeFileSync(`${folder}/${name}`, "-1");
  }
}

const isEmulated = (qemu: string): boolean =>
  [`qemu-${qemu}`, `chatmail-${qemu}`]
    .map((name) => `${folder}/${name}`)
    .some((path) => existsSync(path) && readFileSync(path, "utf8").startsWith("enabled"));

/**
 * A line for the kernel's binfmt_misc: 64-bit little-endian ELF programs (types 2 and 3) of this
 * machine. F: the emulator is opened now, so it is found inside of a chroot too.
 */
function registration(name: string, qemu: string, machine: number): string {
  const hex = (bytes: readonly number[]) => bytes.map((byte) => `\\x${byte.toString(16).padStart(2, "0")}`).join("");
  const magic = [0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, machine, 0];
  const mask = [255, 255, 255, 255, 255, 255, 255, 0, 255, 255, 255, 255, 255, 255, 255, 255, 254, 255, 255, 255];
  return `:${name}:M::${hex(magic)}:${hex(mask)}:/usr/bin/qemu-${qemu}-static:FP`;
}
