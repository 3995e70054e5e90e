/** nginx: the relay's pages and the way to a new address, over HTTPS; port 80 only points there. */
import type { ChatmailServerSpec } from "../api/chatmail-server.ts";
import { bytesOf } from "../api/quantity.ts";
import { folders, ports, sockets, tlsFiles } from "./layout.ts";

/** What a browser may load on the pages: only what comes from the relay itself. */
const contentPolicy =
  "default-src 'none'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; script-src 'self'; connect-src 'self'; font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/** A request for an address has no body worth the name. */
const bodyLimit = "4k";

/** Beside the message itself: doubled dots. Postfix's own limit is the one that counts. */
const slackBytes = 2 ** 20;

export function webFiles({ messages }: Pick<ChatmailServerSpec, "messages">): Record<string, string> {
  return { "nginx.conf": nginxConf(bytesOf(messages.maxSize) + slackBytes) };
}

const nginxConf = (mailBytes: number) => `daemon off;
pid /tmp/nginx.pid;
error_log stderr error;
worker_processes 1;
worker_shutdown_timeout 10s;
events {
  worker_connections 2048;
}
http {
  access_log off;
  server_tokens off;
  sendfile on;
  keepalive_timeout 30s;
  client_max_body_size ${bodyLimit};
  client_body_temp_path /tmp/body;
  proxy_temp_path /tmp/proxy;
  fastcgi_temp_path /tmp/fastcgi;
  uwsgi_temp_path /tmp/uwsgi;
  scgi_temp_path /tmp/scgi;
  gzip on;
  gzip_types text/css text/plain image/svg+xml application/javascript;
  include /etc/nginx/mime.types;
  default_type application/octet-stream;
  charset utf-8;

  # who makes up addresses by the thousand is slowed down; people behind one address are not
  limit_req_zone $binary_remote_addr zone=new:1m rate=2r/s;
  limit_req_status 429;

  ssl_certificate ${tlsFiles.certificate};
  ssl_certificate_key ${tlsFiles.key};
  ssl_protocols TLSv1.2 TLSv1.3;
  ssl_session_tickets off;

  server {
    listen ${ports.http} default_server;
    listen [::]:${ports.http} default_server;
    return 301 https://$host$request_uri;
  }
  server {
    listen ${ports.https} ssl default_server;
    listen [::]:${ports.https} ssl default_server;
    http2 on;
    large_client_header_buffers 64 8k;
    root ${folders.pages};
    add_header Content-Security-Policy "${contentPolicy}" always;
    add_header X-Content-Type-Options nosniff always;
    add_header Referrer-Policy no-referrer always;
    add_header X-Robots-Tag "noindex, nofollow" always;
    location / {
      index index.html;
      try_files $uri $uri/ =404;
    }
    location ~ ^/(new|cgi-bin/newemail[.]py)$ {
      limit_req zone=new burst=20 nodelay;
      proxy_pass http://unix:${sockets.web};
      proxy_http_version 1.1;
      proxy_set_header Host $host;
      proxy_set_header Connection "";
      proxy_connect_timeout 5s;
      proxy_read_timeout 30s;
    }
    # mail from other relays. A slow sender holds a connection here and no process of Postfix: the body is taken in first, in memory where
    # it is small. Each recipient is a header of its own.
    location /mxdeliv {
      client_max_body_size ${mailBytes};
      client_body_buffer_size 256k;
      error_page 413 @too_large;
      proxy_pass http://unix:${sockets.mxdeliv};
      proxy_http_version 1.1;
      proxy_set_header Host $host;
      proxy_set_header Connection "";
      proxy_connect_timeout 5s;
      proxy_read_timeout 300s;
    }
    location @too_large {
      default_type text/plain;
      return 413 "552 Message exceeds maximum size\\n";
    }
  }
}
`;
