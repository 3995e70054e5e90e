/** How a bucket is named to the program in the image (src/main/backup.ts). */
import { type S3, s3SecretKeys } from "../../../api/spec/backup.ts";
import { ports } from "../../../mail/ports.ts";

/** Servers of several namespaces and clusters may share a bucket: no two have the same domain. */
export function s3Arguments({ bucket, endpoint, region, prefix = "", pathStyle }: S3, domain: string): string[] {
  return [
    ...["--bucket", bucket, "--region", region, "--prefix", `${prefix}${domain}/`],
    ...(endpoint === undefined ? [] : ["--endpoint", endpoint]),
    ...((pathStyle ?? endpoint !== undefined) ? ["--path-style"] : []),
  ];
}

export function s3Environment({ credentialsSecretName: secretName }: S3) {
  const env = Object.values(s3SecretKeys).map((key) => [key, { secretName, key }]);
  return Object.fromEntries(env) as Record<string, { secretName: string; key: string }>;
}

/** Of its endpoint. */
export function s3Port({ endpoint }: S3): number {
  const { protocol, port } = new URL(endpoint ?? "https://s3");
  return Number(port) || (protocol === "http:" ? ports.http : ports.https);
}
