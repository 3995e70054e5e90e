/** As Kubernetes writes times (metav1.Time): seconds, in UTC. */
export const timeText = (date: Date): string => date.toISOString().replace(/[.]\d+Z$/, "Z");
