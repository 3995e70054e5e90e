/** What `kubectl apply -k install` reads beside the install file. */

const images = ["chatmail-operator", "chatmail-relay"] as const;
type ImageName = (typeof images)[number];

/** Where an image is, and by which digest, where that is known. */
export type Places = Partial<Record<ImageName, { newName: string; newTag?: string; digest?: string }>>;

/**
 * The relay's image stands in a variable of the operator: `images.yaml` says so, so that one list
 * changes both.
 */
export function kustomizationFiles(
  yaml: (object: unknown) => string,
  options: { folder?: string; resource?: string; places?: Places } = {},
): Record<string, string> {
  const { folder = "install", resource = "chatmail-operator.yaml", places = {} } = options;
  const kustomization = {
    apiVersion: "kustomize.config.k8s.io/v1beta1",
    kind: "Kustomization",
    resources: [resource],
    configurations: ["images.yaml"],
    images: images.map((name) => ({ name, ...(places[name] ?? { newName: name }) })),
  };
  const fields = {
    images: [{ path: "spec/template/spec/containers[]/env[]/value", kind: "Deployment" }],
  };
  return { [`${folder}/kustomization.yaml`]: yaml(kustomization), [`${folder}/images.yaml`]: yaml(fields) };
}
