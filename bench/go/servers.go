// SPDX-License-Identifier: MIT

package main

import (
	"io"
	"log"
	"net"
	"net/http"
)

// serve-http ADDRESS DIR: examples/httpd with net/http.
func serveHTTP(address, dir string) {
	log.Fatal(http.ListenAndServe(address, http.FileServer(http.Dir(dir))))
}

// serve-relay ADDRESS BACKEND: examples/relay with net; io.Copy splices.
func serveRelay(address, backend string) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		log.Fatal(err)
	}
	for {
		c, err := l.Accept()
		if err != nil {
			log.Fatal(err)
		}
		go relay(c.(*net.TCPConn), backend)
	}
}

func relay(c *net.TCPConn, backend string) {
	defer c.Close()
	b, err := net.Dial("tcp", backend)
	if err != nil {
		return
	}
	defer b.Close()
	done := make(chan struct{})
	go func() {
		io.Copy(b, c)
		b.(*net.TCPConn).CloseWrite()
		close(done)
	}()
	io.Copy(c, b)
	c.CloseWrite()
	<-done
}
