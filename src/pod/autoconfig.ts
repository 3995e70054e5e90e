/**
 * What mail programs ask for to find the servers of an address (chatmail protocol §17), and the
 * policy for servers that send mail here (RFC 8461).
 */
import { ports } from "../mail/ports.ts";

/**
 * `/.well-known/autoconfig/mail/config-v1.1.xml`. A domain has only characters that XML takes as
 * they are.
 */
export function autoconfig(domain: string): string {
  const server = (direction: "incoming" | "outgoing", type: "imap" | "smtp", port: number, socket: string) =>
    `    <${direction}Server type="${type}">
      <hostname>${domain}</hostname>
      <port>${port}</port>
      <socketType>${socket}</socketType>
      <authentication>password-cleartext</authentication>
      <username>%EMAILADDRESS%</username>
    </${direction}Server>`;
  return `<?xml version="1.0" encoding="UTF-8"?>
<clientConfig version="1.1">
  <emailProvider id="${domain}">
    <domain>${domain}</domain>
    <displayName>${domain} chatmail</displayName>
    <displayShortName>${domain}</displayShortName>
${server("incoming", "imap", ports.imaps, "SSL")}
${server("incoming", "imap", ports.imap, "STARTTLS")}
${server("incoming", "imap", ports.https, "SSL")}
${server("outgoing", "smtp", ports.submissions, "SSL")}
${server("outgoing", "smtp", ports.submission, "STARTTLS")}
${server("outgoing", "smtp", ports.https, "SSL")}
  </emailProvider>
</clientConfig>
`;
}

/**
 * `/.well-known/mta-sts.txt`: servers that send mail here verify the certificate, for four weeks
 * from when they last looked.
 */
export function mtaStsPolicy(domain: string): string {
  return ["version: STSv1", "mode: enforce", `mx: ${domain}`, "max_age: 2419200", ""].join("\n");
}
