/** Standard ports, inside the pod as outside. */
export const ports = {
  smtp: 25,
  submission: 587,
  submissions: 465,
  imap: 143,
  imaps: 993,
  http: 80,
  https: 443,
  /** UDP. */
  turn: 3478,
  /** Health and metrics of the relay daemon; never in the Service. */
  health: 9090,
} as const;
