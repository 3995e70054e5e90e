/**
 * Names of images, as the container runtimes read them (distribution reference grammar), and which
 * of them are allowed. Pure.
 */

/**
 * "docker.io/library/nginx" of "nginx:1", "registry.example:5000/a/b" of
 * "registry.example:5000/a/b@sha256:…"; undefined for no reference.
 */
export function repositoryOf(image: string): string | undefined {
  const [, name = "", tag, digest] = referenceForm.exec(image) ?? [];
  if (name === "" || (tag !== undefined && tag.length > 128) || (digest !== undefined && digest.length > 71))
    return undefined;
  const [first = "", ...rest] = name.split("/");
  // A first part without dot or port is no host, so the image is one of Docker Hub; localhost is
  // the exception.
  const isHost = rest.length > 0 && (/[.:]/.test(first) || first === "localhost");
  if (!isHost && !pathForm.test(name)) return undefined;
  const host = isHost ? (hubNames.includes(first.toLowerCase()) ? hub : first.toLowerCase()) : hub;
  const path = isHost ? rest : [first, ...rest];
  if (!pathForm.test(path.join("/"))) return undefined;
  return [host, ...(host === hub && path.length === 1 ? ["library"] : []), ...path].join("/");
}

const hub = "docker.io";
const hubNames = [hub, "index.docker.io"];
const part = "[a-z0-9]+(?:(?:[.]|_{1,2}|-+)[a-z0-9]+)*";
const pathForm = new RegExp(`^${part}(?:/${part})*$`);
const referenceForm =
  /^((?:[A-Za-z0-9.-]+(?::[0-9]{1,5})?\/)?[a-z0-9._/-]+)(?::([A-Za-z0-9_][A-Za-z0-9_.-]*))?(?:@(sha256:[0-9a-f]{64}))?$/;

/** `allowed`: a repository, a folder of repositories with "/" at its end, or "*" for any image. */
export function isImageAllowed(image: string, allowed: string): boolean {
  if (allowed === "*") return true;
  const repository = repositoryOf(image);
  if (repository === undefined) return false;
  if (!allowed.endsWith("/")) return repository === repositoryOf(allowed);
  const folder = folderOf(allowed);
  return folder !== undefined && repository.startsWith(folder);
}

/**
 * With "docker.io/" in front where it names no host: "registry.example/" is all of a registry,
 * "team/" that of Docker Hub.
 */
function folderOf(allowed: string): string | undefined {
  const name = `${allowed}x`;
  const repository = repositoryOf(name);
  return repository?.slice(0, -1);
}

/**
 * The image of another version in the same repository. Where it is the version that the image has,
 * the same text: another one would replace pods.
 */
export function ofVersion(image: string, version: string): string {
  const [, repository = image, tag] = /^(.+?)(?::([^/:@]+))?(?:@[^@]+)?$/.exec(image) ?? [];
  return tag === version ? image : `${repository}:${version}`;
}
