# syntax=docker/dockerfile:1
FROM node:24-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts
COPY . .
RUN node node_modules/typescript/bin/tsc -p tsconfig.build.json \
 && cp -r admin/dashboard dist/admin/ \
 && npm prune --omit=dev --ignore-scripts \
 && rm -rf node_modules/node node_modules/node-linux-* node_modules/node-bin-*

FROM node:24-bookworm-slim
ENV NODE_ENV=production SWITCHYARD_DATA_DIR=/var/lib/switchyard
WORKDIR /app
RUN mkdir -p /var/lib/switchyard && chown node:node /var/lib/switchyard
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
USER node
VOLUME /var/lib/switchyard
EXPOSE 6033 6034 6080
# A switch needs at most its pause deadline to settle; docker stop waits 10 s by default, use --stop-timeout 30.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s CMD ["node", "-e", "fetch('http://127.0.0.1:6080/livez').then(r => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "dist/main.js"]
CMD ["serve"]
