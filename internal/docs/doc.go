// Package docs has the project's written decisions, and keeps the README's code compiling.
package docs
