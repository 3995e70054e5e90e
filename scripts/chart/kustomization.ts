/** What `kubectl apply -k install` reads beside the install file. */

/** Where an image is, by the name that the file has for it, and by which digest, where known. */
export type Places = Readonly<Record<string, { newName: string; newTag?: string; digest?: string }>>;

const ownNames: Places = {
  "chatmail-operator": { newName: "chatmail-operator" },
  "chatmail-relay": { newName: "chatmail-relay" },
};

/**
 * The relay's image stands in a variable of the operator: `images.yaml` says so, so that one list
 * changes both.
 */
export function kustomizationFiles(
  yaml: (object: unknown) => string,
  options: { folder?: string; resource?: string; places?: Places } = {},
): Record<string, string> {
  const { folder = "install", resource = "chatmail-operator.yaml", places = ownNames } = options;
  const kustomization = {
    apiVersion: "kustomize.config.k8s.io/v1beta1",
    kind: "Kustomization",
    resources: [resource],
    configurations: ["images.yaml"],
    images: Object.entries(places).map(([name, place]) => ({ name, ...place })),
  };
  const fields = {
    images: [{ path: "spec/template/spec/containers[]/env[]/value", kind: "Deployment" }],
  };
  return { [`${folder}/kustomization.yaml`]: yaml(kustomization), [`${folder}/images.yaml`]: yaml(fields) };
}
