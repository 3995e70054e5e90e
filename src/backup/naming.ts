/** Names of backups, and which of them may go. Pure. */
import type { Manifest } from "./archive.ts";

/**
 * `SERVER-20261129T221800Z-identity.tar.gz.age`: sorted by name they are sorted by time.
 */
export function backupName({ server, time, contents }: Pick<Manifest, "server" | "time" | "contents">): string {
  const stamp = new Date(time).toISOString().replace(/\.\d+/, "").replaceAll(/[-:]/g, "");
  return `${server}-${stamp}-${contents.toLowerCase()}${ending}`;
}
const ending = ".tar.gz.age";

/** When a backup of this server was begun; undefined where the name is of something else. */
export function backupTime(name: string, server: string): Date | undefined {
  if (!name.startsWith(`${server}-`)) return undefined;
  const found = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z-(?:identity|all)\.tar\.gz\.age$/.exec(
    name.slice(server.length + 1),
  );
  if (!found) return undefined;
  const [year, month, day, hour, minute, second] = found.slice(1);
  const time = new Date(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
  return Number.isNaN(time.getTime()) ? undefined : time;
}

/** The newest of them, of whatever server; undefined without any. */
export function newestBackup(names: readonly string[]): string | undefined {
  const timed = names.flatMap((name) => {
    const [, server] = /^(.+)-\d{8}T\d{6}Z-/.exec(name) ?? [];
    const time = server === undefined ? undefined : backupTime(name, server);
    return time ? [{ name, time: time.getTime() }] : [];
  });
  return timed.sort((a, b) => b.time - a.time || (a.name < b.name ? 1 : -1))[0]?.name;
}

/** Those of this server that are older than the newest `keep`; never what has another name. */
export function namesToDelete(names: readonly string[], server: string, keep: number): string[] {
  const own = names.flatMap((name) => {
    const time = backupTime(name, server);
    return time ? [{ name, time: time.getTime() }] : [];
  });
  return own
    .sort((a, b) => b.time - a.time || (a.name < b.name ? 1 : -1))
    .slice(Math.max(1, keep))
    .map(({ name }) => name);
}
