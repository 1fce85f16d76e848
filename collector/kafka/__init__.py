"""The consumer of Kafka: reads topics into the one pipeline and commits what is durable."""
