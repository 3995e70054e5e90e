/** How a bucket is named to the program in the image (src/main/backup.ts). */
import { type S3, s3SecretKeys } from "../../../api/spec/backup.ts";
import { ports } from "../../../mail/ports.ts";
import { domainFile, domainFolder, folders, storeAuthorityFile } from "../../../pod/layout.ts";

/** A bucket, or another volume. */
interface Place {
  s3?: S3 | undefined;
  volumeClaim?: { name: string } | undefined;
}

export const hasOwnAuthority = ({ s3 }: Place): boolean =>
  s3?.caBundle?.configMapName !== undefined || s3?.caBundle?.secretName !== undefined;

export const placeArguments = ({ s3, volumeClaim }: Place, domain: string): string[] => [
  ...(s3 ? s3Arguments(s3, domain) : []),
  ...(volumeClaim ? ["--folder", domainFolder(folders.backups, domain)] : []),
];

/** Servers of several namespaces and clusters may share a bucket: no two have the same domain. */
function s3Arguments(s3: S3, domain: string): string[] {
  const { bucket, endpoint, region, prefix = "", pathStyle } = s3;
  return [
    ...["--bucket", bucket, "--region", region, "--prefix", `${prefix}${domainFile(domain)}/`],
    ...(endpoint === undefined ? [] : ["--endpoint", endpoint]),
    ...((pathStyle ?? endpoint !== undefined) ? ["--path-style"] : []),
    ...(hasOwnAuthority({ s3 }) ? ["--authority", `${folders.storeAuthority}/${storeAuthorityFile}`] : []),
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
