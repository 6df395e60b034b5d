FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=dev
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-X main.version=$VERSION" -o /countersign ./cmd/countersign
# What an empty image lacks: the folder for data, and the one for uploads while they are examined.
RUN mkdir -p /rootfs/data /rootfs/tmp && chmod 1777 /rootfs/tmp

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build --chown=65532:65532 /rootfs/ /
COPY --from=build /countersign /countersign
ENV COUNTERSIGN_ADDR=0.0.0.0:8080 COUNTERSIGN_DATA_DIR=/data
USER 65532:65532
VOLUME /data
EXPOSE 8080
ENTRYPOINT ["/countersign"]
CMD ["serve"]
